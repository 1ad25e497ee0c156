# SPDX-License-Identifier: Apache-2.0
"""How Sphinx reads the Markdown of this directory; `tox -e docs` builds it and stops at a broken link or anchor."""

project = 'os-brick with a Rust core'
extensions = ['myst_parser']
source_suffix = {'.md': 'markdown'}
root_doc = 'README'
html_title = project
# Links such as page.md#a-heading work as they do where the repository is browsed.
myst_heading_anchors = 4
# The pages link to each other; no page keeps a list of all.
suppress_warnings = ['toc.not_included']
nitpicky = True
