#!/usr/bin/env python3
"""csv.json: texts and what Python's csv module, in strict mode, reads from them (blank lines left out)."""
import csv, io, json, os, platform, random

texts = [
    "a,b,c\n1,2,3\n", "a,b\r\n1,2\r\n", "a,b\n1,2", '"a","b"\n"1,5","x ""y"" z"\n', '"line\nbreak",2\nx,y\n',
    '"crlf\r\nbreak",2\r\n', ",,\n,\n", '""\n"",""\n', "\n\na,b\n\n1,2\n\n", 'a"b,c""d\n', ' "x",y\n',
    "é,日本,\U0001f600\n", '"a"b\n', '"never\n', '"a""\n', 'a,"b"\r\n', "a\rb,c\n", '"a\rb",c\n', "\ufeff" "a,b\n",
    ",\r\n", '"', "x", "", "\r\n\r\n", '"",x\n', "'a,b'\n", "a;b\tc\n",
]
rng = random.Random(0)
for _ in range(300):
    texts.append("".join(rng.choice('ab,"\n "\r\n,') for _ in range(rng.randrange(1, 24))))

cases = []
for text in texts:
    body = text.removeprefix("\ufeff")
    try:
        rows = [row for row in csv.reader(io.StringIO(body, newline="\n"), strict=True) if row]
    except csv.Error as error:
        rows = None
    cases.append({"text": text, "rows": rows})
out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "csv.json")
with open(out, "w") as f:
    json.dump({"made_by": "make_csv.py", "python": platform.python_version(), "cases": cases}, f, indent=0)
    f.write("\n")
