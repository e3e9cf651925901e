"""A host with a library before its own (preload/): clocks that the test moves, and memory that runs out."""

import struct

import basics


def into_hosts(agent, library, variable, numbers):
    """The agent's hosts start with this library; its file, which holds these numbers. Before agent.start()."""
    file, script = agent.folder / f"{library}.numbers", agent.folder / f"host-with-{library}"
    write(file, *numbers)
    script.write_text(f'#!/bin/sh\nexport LD_PRELOAD="{basics.built(library + ".so")}" {variable}="{file}"\n'
                      f'exec "{basics.built("hawser-host")}" "$@"\n')
    script.chmod(0o755)
    arguments = agent.arguments()
    arguments[arguments.index("--host-program") + 1] = script
    agent.arguments = lambda: arguments
    return file


def write(file, *numbers):
    """In place: it is mapped."""
    with open(file, "r+b" if file.exists() else "wb", buffering=0) as open_file:
        open_file.write(struct.pack(f"={len(numbers)}q", *numbers))
