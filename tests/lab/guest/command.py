"""Runs a program for the lab itself: an argument list, a deadline, output as text."""

import subprocess


class CommandFailed(Exception):
    """A program the lab needs exited non-zero."""


def run(*argv, stdin=None, seconds=90, check=True):
    """Standard output; with check=False whatever was printed, also after a failure or a timeout."""
    try:
        done = subprocess.run([str(word) for word in argv], input=stdin, stdin=None if stdin else subprocess.DEVNULL,
                              capture_output=True, text=True, errors='replace', timeout=seconds)
    except subprocess.TimeoutExpired as timeout:
        if check:
            raise CommandFailed(f'{argv} did not end within {seconds} s') from None
        return (timeout.stdout or b'').decode(errors='replace')
    if check and done.returncode != 0:
        raise CommandFailed(f'{argv} exited {done.returncode}: {done.stdout}{done.stderr}')
    return done.stdout
