# SPDX-License-Identifier: Apache-2.0
"""Data that the tests of os-brick's callers import; os-brick's own tests are not installed."""
