# SPDX-License-Identifier: Apache-2.0
"""Volumes made on this host itself."""
