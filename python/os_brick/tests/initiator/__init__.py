# SPDX-License-Identifier: Apache-2.0
"""Data about the initiator side."""
