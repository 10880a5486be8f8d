# SPDX-License-Identifier: BSD-3-Clause
# cases.py: prints a line with the result of each case in regrtest's XML.
import sys
import xml.etree.ElementTree as tree

for case in tree.parse(sys.argv[1]).iter("testcase"):
    # The entry of a whole file has no name. Its cases have the results.
    if not case.get("name"):
        continue
    result = [child.tag for child in case
              if child.tag in ("failure", "error", "skipped")]
    print(case.get("name"), " ".join(result) or case.get("result", ""))
