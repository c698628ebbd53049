"""The JSON documents of a run: what is in each, and one reader for each that refuses any other file.

Stages write plain dicts, so the types here describe what lies on the disk and change none of its bytes. A document may
hold more than its type names; what the type names must be there, unless it says `NotRequired`.
"""
