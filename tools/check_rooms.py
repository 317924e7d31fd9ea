#!/usr/bin/env python3
"""Checks every #include of src/ against src/rooms.txt and the rules of docs/architecture.md.

Prints one line per fault and exits with 1 if there is any.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)

# Where a third-party header may be included: (header pattern, path patterns, what it is).
PLACES = [
    (r"^(envoy|xds|udpa|google/protobuf|google/rpc|validate)/.*\.h$",
     [r"^src/envoy/", r"^src/policies/[a-z_]+/apply\.cc$", r"^src/generate/.*\.cc$", r"^src/xds/internal/",
      r"^src/sync/internal/", r"^src/policies/[a-z_]+/.*_test\.cc$", r"^src/.*_test\.cc$"], "protobuf"),
    (r"^nghttp2/", [r"^src/net/internal/"], "nghttp2"),
    (r"^openssl/", [r"^src/net/internal/", r"^src/identity/internal/"], "OpenSSL"),
    (r"^yaml-cpp/", [r"^src/model/internal/"], "YAML"),
    (r"^boost/", [r"^src/net/internal/"], "Boost"),
    (r"^sqlite3\.h$", [r"^src/store/sqlite/"], "SQLite"),
    (r"^zlib\.h$", [r"^src/dp/.*\.cc$"], "zlib"),
    (r"^CLI/", [r"^src/(cli|dp|app)/.*\.cc$"], "CLI11"),
]


def read_rooms():
    rooms = {}
    for line in (SRC / "rooms.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            name, _, uses = line.partition(":")
            rooms[name.strip()] = uses.split()
    return rooms


def check_order(rooms, faults):
    seen = set()
    for room, uses in rooms.items():
        for other in uses:
            if other not in seen:
                faults.append(f"src/rooms.txt: {room} uses {other}, which is not defined above it")
        seen.add(room)


def check_file(path, rooms, faults):
    relative = path.relative_to(ROOT).as_posix()
    room = path.relative_to(SRC).parts[0]
    is_test = path.name.endswith("_test.cc")
    for quote, header in INCLUDE.findall(path.read_text()):
        for pattern, places, what in PLACES:
            if re.match(pattern, header) and not (quote == '"' and header.split("/")[0] in rooms
                                                  and (SRC / header).exists()):
                if not any(re.match(place, relative) for place in places):
                    faults.append(f"{relative}: {what} header {header} is not allowed here")
        if quote != '"':
            continue
        parts = header.split("/")
        if parts[0] == "tests":
            if not is_test:
                faults.append(f"{relative}: product code includes {header}")
            continue
        if parts[0] not in rooms:
            if re.match(PLACES[0][0], header):
                continue
            faults.append(f"{relative}: {header} is in no room")
            continue
        if parts[0] != room:
            if parts[0] not in rooms[room]:
                faults.append(f"{relative}: room {room} may not use {parts[0]} ({header})")
            if "internal" in parts:
                faults.append(f"{relative}: {header} is internal to {parts[0]}")
        elif room == "policies" and len(parts) > 2 and len(path.relative_to(SRC).parts) > 2 \
                and parts[1] != path.relative_to(SRC).parts[1]:
            faults.append(f"{relative}: a policy never uses another one ({header})")
        if not (SRC / header).exists():
            faults.append(f"{relative}: {header} does not exist")


def check_tests(faults):
    """Each test file is found by the build's globs; a gtest case outside of one would never run."""
    for path in list(SRC.rglob("*.cc")) + list((ROOT / "tests").rglob("*.cc")):
        if re.search(r"^TEST(_F|_P)?\(", path.read_text(), re.M) and not path.name.endswith("_test.cc"):
            faults.append(f"{path.relative_to(ROOT)}: has tests, but its name does not end in _test.cc")


def main():
    rooms = read_rooms()
    faults = []
    check_order(rooms, faults)
    for folder in sorted(p.name for p in SRC.iterdir() if p.is_dir()):
        if folder not in rooms:
            faults.append(f"src/{folder}: not in src/rooms.txt")
    for path in sorted(SRC.rglob("*")):
        if path.suffix in (".cc", ".h", ".def") and path.relative_to(SRC).parts[0] in rooms:
            check_file(path, rooms, faults)
    check_tests(faults)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
