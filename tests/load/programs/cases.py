# SPDX-License-Identifier: BSD-3-Clause
# cases.py: of regrtest's XML, a line for each case, with what became of it.
import sys
import xml.etree.ElementTree as tree

for case in tree.parse(sys.argv[1]).iter("testcase"):
    # A file as a whole has no name: its cases tell the same.
    if not case.get("name"):
        continue
    result = [child.tag for child in case
              if child.tag in ("failure", "error", "skipped")]
    print(case.get("name"), " ".join(result) or case.get("result", ""))
