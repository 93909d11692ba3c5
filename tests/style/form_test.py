"""The form of source files: a first comment, #pragma once, 100 columns, 4 spaces, no oversized file, one dialect.

The layout inside a line is clang-format's affair: layout_test.py.
"""
import re

from sources import ROOT, report, sources

COLUMNS = 120  # clang-format breaks code at 100; text in tables and long strings may run on to here
LINES = 800
PREFIX_STEP = re.compile(r"(^\s*|; )(\+\+|--)(\w|\.|->)+(;|\))")  # "++i" where nobody reads the value
BLOCK_COMMENT = re.compile(r"^\s*/\*(?!\w+=\*/)")  # but for /*name=*/ of an argument
NUMBER = r"(u?int(8|16|32|64)?(_t)?|size_t|float|double|unsigned|png_uint_32)"
FUNCTION_CAST = re.compile(r"^(?!\s*using ).*(\breturn|[=(,*]) ?" + NUMBER + r"\([a-z]")
ABSOLUTE_PATH = re.compile(r'(?<![\w/.*])/(work|home|root|Users)/')


def is_expected_text(path, line):
    """A line of a test that quotes text, which is not broken so that it can be compared by eye."""
    return path.parts[0] == "tests" and '"' in line


def is_cpp(path, line):
    """A line of C++ that is read by nobody else: the C interface's files speak C."""
    return path.suffix in (".h", ".cpp") and "abi" not in path.parts and '"' not in line


def faults_of(path, text):
    lines = text.split("\n")
    code = path.suffix in (".h", ".cpp", ".c")
    if text and not text.endswith("\n"):
        yield f"{path}: no line break at the end"
    if len(lines) > LINES:
        yield f"{path}: {len(lines)} lines, more than {LINES}; fix: split the file"
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end of the line"
        if "\t" in line and path.name != "Makefile":
            yield f"{path}:{number}: a tab; fix: use 4 spaces"
        if len(line) > COLUMNS and code and not is_expected_text(path, line):
            yield f"{path}:{number}: {len(line)} columns, more than {COLUMNS}"
        if code and PREFIX_STEP.search(line):
            yield f"{path}:{number}: a step in prefix form; fix: write i++"
        if is_cpp(path, line) and BLOCK_COMMENT.search(line):
            yield f"{path}:{number}: a block comment; fix: write //"
        if is_cpp(path, line) and FUNCTION_CAST.search(line):
            yield f"{path}:{number}: a cast in function form; fix: write static_cast"
        if ABSOLUTE_PATH.search(line) and not is_expected_text(path, line):
            yield f"{path}:{number}: the absolute path of one machine"
    if code and not re.match(r"\s*(//|/\*)", text):
        yield f"{path}: no paragraph at the top that says what the file is"
    if path.suffix == ".h":
        if "#pragma once" not in text and not re.search(r"#ifndef \w+_H\n#define", text):
            yield f"{path}: a header without #pragma once"
        if re.search(r"^\s*using namespace", text, re.MULTILINE):
            yield f"{path}: 'using namespace' in a header"


def check_the_check():
    from pathlib import Path
    bad = Path("runtime/bad.h")
    top = "// a\n#pragma once\n"
    planted = ["// a\nint x;\n", "#pragma once\n", top + "int x; \n", top + "\tint x;\n",
               top + "using namespace std;\n", top + "int x;", top + "// " + "a" * 150 + "\n", top + "int x;\n" * LINES,
               top + "for (;; ++i) {\n", top + "/* a */\n", top + "f(a, int(b));\n",
               top + "++a->b;\n", top + "return uint64_t(b);\n", top + "x = png_uint_32(b);\n"]
    return [f"planted fault not found: {text!r}" for text in planted if not list(faults_of(bad, text))]


faults = check_the_check()
files = sources(".h", ".cpp", ".c", ".py", ".sh", ".cmake")
for file in files:
    faults += faults_of(file, (ROOT / file).read_text())
report("form", faults, len(files))
