"""The services' own code around os_brick, with stand-ins for what the guest has not: their API, database and hypervisor.

Imported in a worker of `lab.caller(service=...)` only; what runs in the session's process lives one level up.
"""
