"""Rules of Self-Instruct (arXiv 2212.10560) that no set has: what it drops of prompts and of instances."""

from __future__ import annotations

from isheep.filters.registry import Row, output_rule, prompt_rule


@prompt_rule("writes_program")
def writes_program(row: Row) -> bool:
    """Drop instructions that begin with "Write a program", which Self-Instruct's model wrote too often."""
    return row["instruction"].lower().startswith("write a program")


@output_rule("no_instance")
def no_instance(row: Row) -> bool:
    """Drop prompts for which the model wrote no instance that can be read."""
    return row.get("unusable") == "none"


@output_rule("cut_instance")
def cut_instance(row: Row) -> bool:
    """Drop the last instance of a completion that the limit of tokens cut."""
    return row.get("unusable") == "cut"


@output_rule("contradicted_instance")
def contradicted_instance(row: Row) -> bool:
    """Drop all instances of a prompt that gives one input two outputs."""
    return row.get("unusable") == "contradicted"


@output_rule("repeated_instance")
def repeated_instance(row: Row) -> bool:
    """Drop instances that the same prompt has already."""
    return row.get("unusable") == "repeated"


@output_rule("output_is_input")
def output_is_input(row: Row) -> bool:
    """Drop outputs equal to their input."""
    return row["output"].strip() == row["input"].strip() != ""


@output_rule("ends_in_colon")
def ends_in_colon(row: Row) -> bool:
    """Drop rows whose input or output ends with a colon: something should have followed."""
    return row["output"].rstrip().endswith(":") or row["input"].rstrip().endswith(":")
