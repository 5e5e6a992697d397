"""The code of docs/python.md runs, block by block, in one session."""
import pathlib
import re

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "python.md"


def test_the_code_of_the_manual_runs():
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 7
    session: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(DOCS), "exec"), session)


def test_five_lines_are_five():
    first = re.search(r"^## Five lines$.*?^```python\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    statements = compile(first.group(1), "", "exec", flags=0x400)  # ast.PyCF_ONLY_AST
    assert len(statements.body) == 5
