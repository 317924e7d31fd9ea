#!/usr/bin/python3
"""strip_descriptors.py IN OUT: a FileDescriptorSet without what JSON and bytes of messages do not need: comments,
options, services, names of JSON that follow from those of the fields, and the files that only define options.
Options that shape messages (map entries, packed fields) stay. Debian's python3 has python3-protobuf."""
import sys

from google.protobuf import descriptor_pb2

OPTIONS_ONLY = ("validate/", "udpa/annotations/", "xds/annotations/", "envoy/annotations/")


def json_name(name):
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def strip_enum(enum):
    alias = enum.options.allow_alias
    enum.ClearField("options")
    if alias:
        enum.options.allow_alias = True
    for value in enum.value:
        value.ClearField("options")


def strip_field(field):
    packed = field.options.packed if field.options.HasField("packed") else None
    field.ClearField("options")
    if packed is not None:
        field.options.packed = packed
    if field.json_name == json_name(field.name):
        field.ClearField("json_name")


def strip_message(message):
    map_entry = message.options.map_entry
    message.ClearField("options")
    if map_entry:
        message.options.map_entry = True
    message.ClearField("extension")
    for field in message.field:
        strip_field(field)
    for oneof in message.oneof_decl:
        oneof.ClearField("options")
    for enum in message.enum_type:
        strip_enum(enum)
    for nested in message.nested_type:
        strip_message(nested)


def strip_file(file):
    for name in ("options", "source_code_info", "service", "extension"):
        file.ClearField(name)
    public = {file.dependency[i] for i in file.public_dependency}
    kept = [name for name in file.dependency if not name.startswith(OPTIONS_ONLY)]
    file.ClearField("weak_dependency")
    del file.dependency[:]
    file.dependency.extend(kept)
    del file.public_dependency[:]
    file.public_dependency.extend(i for i, name in enumerate(kept) if name in public)
    for enum in file.enum_type:
        strip_enum(enum)
    for message in file.message_type:
        strip_message(message)


def main(source, target):
    files = descriptor_pb2.FileDescriptorSet()
    with open(source, "rb") as file:
        files.ParseFromString(file.read())
    kept = descriptor_pb2.FileDescriptorSet()
    for file in files.file:
        if file.name.startswith(OPTIONS_ONLY):
            continue
        strip_file(file)
        kept.file.append(file)
    with open(target, "wb") as file:
        file.write(kept.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
