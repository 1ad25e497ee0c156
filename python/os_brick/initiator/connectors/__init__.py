# SPDX-License-Identifier: Apache-2.0
"""One module per connector; `os_brick.initiator.connector` loads and chooses them."""
