"""Builds Envoy's API as a C++ library out of the .pb.go files of Go modules.

.pb.go files embed the serialized descriptor of the .proto file they were generated from. protoc
generates C++ from descriptors as well as from .proto files, so no .proto file is needed.
Everything here decides what the library looks like: third_party/fetch hashes this file.
"""
import importlib
import os
import re
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from google.protobuf import descriptor_pb2

# -O1: -O2 costs 40 % more compile time, for generated code that is rarely the bottleneck.
# NDEBUG changes no layout, so that users of the headers may be built with or without it.
FLAGS = ["-std=c++20", "-O1", "-g0", "-w", "-DNDEBUG"]
# Few big units share the cost of parsing headers, but keep several cores busy.
UNITS = 12
# Options that change the meaning of the bytes; all others (validation, annotations) are dropped.
KEPT_OPTIONS = {"packed", "map_entry", "allow_alias"}
# Keywords of C++20 that protoc 3.21 does not know and therefore does not escape.
NEW_KEYWORDS = {"char8_t", "concept", "consteval", "constinit", "co_await", "co_return", "co_yield",
                "requires"}

RAW_STRING = re.compile(rb'^const file_\w+_rawDesc = ""((?: \+\n\t"(?:[^"\\\n]|\\.)*")+)$', re.M)
RAW_BYTES = re.compile(rb'^var file_\w+_rawDesc = (?:string\()?\[\]byte\{([^}]*)\}', re.M)
ESCAPE = re.compile(rb'\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))')
SIMPLE_ESCAPES = dict(zip(b'abfnrtv\\"', b'\a\b\f\n\r\t\v\\"'))


def unescape(match):
    """One escape sequence of a Go string, as written by strconv.Quote."""
    byte, short, long, simple = match.groups()
    if byte:
        return bytes([int(byte, 16)])
    if simple:
        return bytes([SIMPLE_ESCAPES[simple[0]]])
    return chr(int(short or long, 16)).encode()


def embedded_descriptor(path):
    """Returns the descriptor inside of a .pb.go file; None if it only adds code to another."""
    text = path.read_bytes()
    if b"_rawDesc" not in text:
        return None
    if match := RAW_STRING.search(text):
        literals = re.findall(rb'"((?:[^"\\\n]|\\.)*)"', match.group(1))
        raw = b"".join(ESCAPE.sub(unescape, literal) for literal in literals)
    elif match := RAW_BYTES.search(text):
        raw = bytes(int(byte, 16) for byte in re.findall(rb"0x([0-9a-f]{2})", match.group(1)))
    else:
        raise ValueError(f"{path}: no embedded descriptor found")
    file = descriptor_pb2.FileDescriptorProto.FromString(raw)
    source = re.search(rb"^// source: (\S+)$", text, re.M)
    if source and source.group(1).decode() != file.name:
        raise ValueError(f"{path}: the embedded descriptor is of {file.name}")
    return file


def extract(module_folders):
    """Returns {name: FileDescriptorProto} of all modules and of what they import of protobuf."""
    files = {}
    for folder in module_folders:
        for path in sorted(Path(folder).rglob("*.pb.go")):
            file = embedded_descriptor(path)
            if file and files.setdefault(file.name, file) != file:
                raise ValueError(f"{path}: {file.name} exists twice with different content")
    while missing := {name for file in files.values() for name in file.dependency} - set(files):
        for name in missing:
            if not name.startswith("google/protobuf/"):
                raise ValueError(f"no pinned module holds {name}")
            module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
            raw = module.DESCRIPTOR.serialized_pb
            files[name] = descriptor_pb2.FileDescriptorProto.FromString(raw)
    return files


def closure(files, names):
    """Returns the files of these names and all that they import, imports first."""
    ordered = {}

    def add(name):
        if name not in ordered:
            for dependency in files[name].dependency:
                add(dependency)
            ordered[name] = files[name]

    for name in sorted(names):
        add(name)
    return list(ordered.values())


def types_of(scope, messages, enums):
    """Yields the full names of messages and enums, nested ones included."""
    for enum in enums:
        yield f"{scope}.{enum.name}"
    for message in messages:
        yield f"{scope}.{message.name}"
        yield from types_of(f"{scope}.{message.name}", message.nested_type, message.enum_type)


def strip(node, used):
    """Drops options and extensions below a descriptor, escapes keywords, collects used types."""
    for field, value in node.ListFields():
        if field.name == "options":
            value.DiscardUnknownFields()  # extensions
            for option, _ in value.ListFields():
                if option.name not in KEPT_OPTIONS:
                    value.ClearField(option.name)
        elif field.name in ("extension", "service"):
            node.ClearField(field.name)
        elif field.message_type and field.label == field.LABEL_REPEATED:
            for child in value:
                strip(child, used)
    if isinstance(node, descriptor_pb2.FieldDescriptorProto):
        if node.type_name:
            used.add(node.type_name)
        if node.name in NEW_KEYWORDS:  # the wire and JSON do not notice
            node.json_name = node.json_name or node.name
            node.name += "_"


def for_cpp(files):
    """Returns copies of the files without options, services and imports needed only by those."""
    defined_in = {name: file.name for file in files.values()
                  for name in types_of("." + file.package, file.message_type, file.enum_type)}
    result = {}
    for file in files.values():
        copy = descriptor_pb2.FileDescriptorProto.FromString(file.SerializeToString())
        if not file.name.startswith("google/protobuf/"):  # those come with protobuf
            used = set()
            strip(copy, used)
            # Direct imports of what is used replace public imports.
            copy.ClearField("public_dependency")
            copy.ClearField("weak_dependency")
            copy.dependency[:] = sorted({defined_in[name] for name in used} - {file.name})
        result[file.name] = copy
    return result


def write_units(folder, generated):
    """Writes unity sources of about equal size out of generated .pb.cc; returns their names."""
    count = min(UNITS, len(generated))
    units = [[] for _ in range(count)]
    sizes = [0] * count
    for name in sorted(generated, key=lambda name: (-os.path.getsize(folder / name), name)):
        smallest = sizes.index(min(sizes))
        units[smallest].append(name)
        sizes[smallest] += os.path.getsize(folder / name)
    for number, unit in enumerate(units):
        with open(folder / f"unit_{number}.cc", "w") as source:
            for position, name in enumerate(unit):
                # The only names of generated code that are not unique across files.
                for clash in ("file_default_instances", "schemas"):
                    source.write(f"#define {clash} {clash}_{position}\n")
                source.write(f'#include "{name}"\n#undef file_default_instances\n#undef schemas\n')
    return [f"unit_{number}" for number in range(count)]


def build(module_folders, api_folders, scratch, cxx, log, run):
    """Leaves include, lib, descriptors.pb and the mark "complete" in scratch/result."""
    scratch = Path(scratch)
    result = scratch / "result"
    (result / "lib").mkdir(parents=True)
    started = resource.getrusage(resource.RUSAGE_CHILDREN)

    files = extract(module_folders)
    everything = descriptor_pb2.FileDescriptorSet(file=closure(files, files))
    (result / "descriptors.pb").write_bytes(everything.SerializeToString(deterministic=True))

    entries = {folder: [name for name in files if os.path.dirname(name) == folder]
               for folder in api_folders}
    if unknown := [folder for folder in api_folders if not entries[folder]]:
        raise ValueError(f"envoy_api_folders: not in Envoy's API: {', '.join(unknown)}")
    wanted = closure(for_cpp(files), sum(entries.values(), []))
    (scratch / "wanted.pb").write_bytes(
        descriptor_pb2.FileDescriptorSet(file=wanted).SerializeToString(deterministic=True))
    protos = [file.name for file in wanted if not file.name.startswith("google/protobuf/")]
    log(f"Envoy's API: compiling {len(protos)} of {len(files)} files")
    generated = scratch / "generated"
    generated.mkdir()
    run(["protoc", "--descriptor_set_in=wanted.pb", "--cpp_out=generated"] + protos,
        "C++ of Envoy's API", cwd=scratch)

    # Relative paths only: ccache then hits whatever the scratch folder is called.
    units = write_units(generated, [name.removesuffix(".proto") + ".pb.cc" for name in protos])
    compiler = ["ccache", cxx] if shutil.which("ccache") else [cxx]

    def compile_unit(unit):
        run(compiler + FLAGS + ["-I.", "-c", f"{unit}.cc", "-o", f"{unit}.o"],
            f"Envoy's API, {unit}", cwd=generated)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(compile_unit, units))
    run(["ar", "rcsD", str(result / "lib" / "libenvoy_api.a")] + [f"{unit}.o" for unit in units],
        "Envoy's API, library", cwd=generated)
    for header in generated.rglob("*.pb.h"):
        target = result / "include" / header.relative_to(generated)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(header, target)
    (result / "complete").touch()

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
    log(f"Envoy's API: built in {seconds:.0f} CPU seconds")
