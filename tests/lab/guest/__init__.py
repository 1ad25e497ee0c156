"""The guest's side of the lab: runs as root inside the virtual machine, standard library only.

Only worker.py imports os_brick; every other module looks at the kernel and its daemons by itself, so that
a check never believes the library it checks.
"""
