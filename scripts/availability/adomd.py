"""A reader with ADOMD.NET: one open connection, which is opened again where it fails. Run by the
Python of a folder that has the client library; a line of JSON for every read.

  FOLDER/venv/bin/python adomd.py FOLDER URL CATALOG QUERY

FOLDER holds `venv` with pythonnet, `lib-core` with the assemblies, `dotnet` and
`runtimeconfig.json`. The connection names no read level, so its reads are those of a session."""

import json
import os
import sys
import time

folder, url, catalog, query = sys.argv[1:]
from clr_loader import get_coreclr  # noqa: E402
from pythonnet import set_runtime  # noqa: E402

set_runtime(get_coreclr(runtime_config=os.path.join(folder, "runtimeconfig.json"),
                        dotnet_root=os.path.join(folder, "dotnet")))
import clr  # noqa: E402

clr.AddReference(os.path.join(folder, "lib-core", "Microsoft.AnalysisServices.AdomdClient.dll"))
from Microsoft.AnalysisServices.AdomdClient import AdomdCommand, AdomdConnection  # noqa: E402

connection, is_first = None, True
while True:
    event = {"who": "adomd", "level": "adomd", "start": time.monotonic()}
    try:
        if connection is None:
            connection = AdomdConnection(
                f"Data Source={url};Catalog={catalog};User ID=reader;Password=reader")
            connection.Open()
        reader = AdomdCommand(query, connection).ExecuteReader()
        reader.Read()
        event["values"] = [int(str(reader.GetValue(i))) for i in range(reader.FieldCount)]
        reader.Close()
        event["version"] = None  # the client does not show it
    except Exception as error:  # whatever .NET throws
        event["error"] = str(error).split("\n   at ")[0]
        connection = None
    event["end"] = time.monotonic()
    if is_first:  # .NET takes seconds to start
        event["start"], is_first = event["end"], False
    print(json.dumps(event), flush=True)
    time.sleep(0.02)
