"""A real kernel for the tests: image, boot, runner and scenarios.

`python -m lab --help` (with PYTHONPATH=tests) is the door; README.md tells the rest.
Nothing here imports os_brick: that happens only inside the guest.
"""
