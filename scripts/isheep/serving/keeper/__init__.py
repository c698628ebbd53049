"""A keeper: a process of its own that holds one loaded engine for the stages that follow each other on a machine.

    job ──► `client.open_kept` ──► keeper of these weights and settings there? ──yes──► asks it
                                                └─no──► another one leaves, a new one starts and loads

`place` says where a keeper is reached, `wire` how the two talk, `__main__` is the process.
"""
