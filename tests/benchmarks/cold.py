"""Measure what importing a contender and making its first object cost, above what its framework has loaded.

Gets {"framework", "module", "name", "options", "hidden"} as its argument and prints JSON. Imports hardly anything of
its own, which could make a later import look free.
"""

import json
import sys
import time

job = json.loads(sys.argv[1])
for name in job["hidden"]:
    sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to say: not importable
__import__(job["framework"])
modules, begin = len(sys.modules), time.process_time()
module = __import__(job["module"], fromlist=[job["name"]])
model = getattr(module, job["name"])
first = model(**job["options"])
cpu, modules = time.process_time() - begin, len(sys.modules) - modules
begin = time.process_time()
objects = [model(**job["options"]) for _ in range(20)]
print(json.dumps({"cpu": cpu, "modules": modules, "hundred": 5 * (time.process_time() - begin)}))
