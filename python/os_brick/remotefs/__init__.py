# SPDX-License-Identifier: Apache-2.0
"""File systems of other hosts, mounted so that volumes can be files in them."""
