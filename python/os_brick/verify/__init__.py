# SPDX-License-Identifier: Apache-2.0
"""The verification service for test clouds: what is attached to this host, over HTTP.  Only looks.

It is for tests and gates, not for production.  Needs the extra `os-brick[verify]`; nothing else of os-brick imports it.
`client.py` asks such services and needs no extra.
"""
