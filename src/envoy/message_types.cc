#include "envoy/message_types.h"

#include <algorithm>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver.h>
#include <google/protobuf/util/type_resolver_util.h>

#include "base/check.h"
#include "base/format.h"
#include "base/strings.h"
#include "envoy/builders.h"
#include "envoy/internal/api_descriptors.h"

namespace kuma::envoy {
namespace {

namespace pb = google::protobuf;

constexpr const char* kUrlPrefix = "type.googleapis.com";

std::string FullName(std::string_view type) {
  return std::string(type.substr(type.rfind('/') + 1));
}

// The messages that are not compiled in. Files are built when something of them is asked for.
struct DynamicTypes {
  pb::EncodedDescriptorDatabase database;
  pb::DescriptorPool pool{&database};
  pb::DynamicMessageFactory factory{&pool};
  std::unique_ptr<pb::util::TypeResolver> resolver{
      pb::util::NewTypeResolverForDescriptorPool(kUrlPrefix, &pool)};

  DynamicTypes() {
    const std::string_view all = ApiDescriptors();
    pb::io::CodedInputStream stream(reinterpret_cast<const uint8_t*>(all.data()),
                                    static_cast<int>(all.size()));
    while (stream.ReadTag() != 0) {  // each is one FileDescriptorProto
      uint32_t size = 0;
      CHECK(stream.ReadVarint32(&size), "the carried descriptors are whole");
      const void* data = nullptr;
      int left = 0;
      CHECK(stream.GetDirectBufferPointer(&data, &left) && left >= static_cast<int>(size),
            "the carried descriptors are whole");
      CHECK(database.Add(data, static_cast<int>(size)), "the carried descriptors are sound");
      stream.Skip(static_cast<int>(size));
    }
  }
};

DynamicTypes& Dynamic() {
  static DynamicTypes& types = *new DynamicTypes();
  return types;
}

// The compiled ones first: most resources need no others.
class AllTypes : public pb::util::TypeResolver {
 public:
  pb::util::Status ResolveMessageType(const std::string& url, pb::Type* type) override {
    const auto compiled = compiled_->ResolveMessageType(url, type);
    return compiled.ok() ? compiled : Dynamic().resolver->ResolveMessageType(url, type);
  }
  pb::util::Status ResolveEnumType(const std::string& url, pb::Enum* type) override {
    const auto compiled = compiled_->ResolveEnumType(url, type);
    return compiled.ok() ? compiled : Dynamic().resolver->ResolveEnumType(url, type);
  }

 private:
  std::unique_ptr<pb::util::TypeResolver> compiled_{
      pb::util::NewTypeResolverForDescriptorPool(kUrlPrefix, pb::DescriptorPool::generated_pool())};
};

AllTypes& Resolver() {
  static AllTypes& resolver = *new AllTypes();
  return resolver;
}

std::string UrlOf(std::string_view type) { return base::Format("{}/{}", kUrlPrefix, type); }

// Null if Envoy's API has no such type.
const pb::Descriptor* FindDescriptor(std::string_view type) {
  const std::string name = FullName(type);
  const auto* found = pb::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  return found != nullptr ? found : Dynamic().pool.FindMessageTypeByName(name);
}

// ---- what is wrong with JSON

// Types of protobuf whose JSON is not an object of their fields.
bool HasOwnJson(const pb::Descriptor& type) {
  const std::string& name = type.full_name();
  return name.starts_with("google.protobuf.") && name != "google.protobuf.Empty";
}

// Types whose JSON is one text, number or boolean.
bool IsScalar(const pb::FieldDescriptor& field) {
  if (field.message_type() == nullptr) return true;
  const std::string& name = field.message_type()->full_name();
  return name.starts_with("google.protobuf.") &&
         (name.ends_with("Value")
              ? name != "google.protobuf.Value" && name != "google.protobuf.ListValue"
              : name.ends_with(".Duration") || name.ends_with(".Timestamp") ||
                    name.ends_with(".FieldMask"));
}

const pb::FieldDescriptor* FindField(const pb::Descriptor& type, const std::string& member) {
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor* field = type.field(i);
    if (field->json_name() == member || field->name() == member) return field;
  }
  return nullptr;
}

class Reviewer {
 public:
  explicit Reviewer(JsonReview& review) : review_(review) {}

  void Message(const pb::Value& json, const pb::Descriptor& type, const std::string& path) {
    if (type.full_name() == "google.protobuf.Any") return Any(json, path);
    if (HasOwnJson(type) || json.has_null_value()) return;
    if (!json.has_struct_value()) return Fault(path, "an object expected");
    for (const auto& [member, value] : json.struct_value().fields())
      Member(member, value, type, path);
  }

 private:
  void Any(const pb::Value& json, const std::string& path) {
    if (json.has_null_value()) return;
    if (!json.has_struct_value()) return Fault(path, "an object with '@type' expected");
    const auto& members = json.struct_value().fields();
    if (members.empty()) return;
    const auto found = members.find("@type");
    if (found == members.end() || !found->second.has_string_value())
      return Fault(path, "'@type' is missing");
    const std::string& url = found->second.string_value();
    if (!url.starts_with(UrlOf("")))
      return Fault(path + ".@type", base::Format("'{}' does not begin with '{}'", url, UrlOf("")));
    const pb::Descriptor* type = FindDescriptor(url);
    if (type == nullptr)
      return Fault(path + ".@type", base::Format("Envoy's API has no message '{}'", FullName(url)));
    if (HasOwnJson(*type)) return;
    for (const auto& [member, value] : members) {
      if (member != "@type") Member(member, value, *type, path);
    }
  }

  void Member(const std::string& name, const pb::Value& value, const pb::Descriptor& type,
              const std::string& parent) {
    const std::string path = parent.empty() ? name : base::Format("{}.{}", parent, name);
    const pb::FieldDescriptor* field = FindField(type, name);
    if (field == nullptr) return review_.unknown.push_back(path);
    if (value.has_null_value()) return;
    if (field->is_map()) {
      if (!value.has_struct_value()) return Fault(path, "an object expected");
      for (const auto& [key, entry] : value.struct_value().fields())
        Single(entry, *field->message_type()->map_value(), base::Format("{}.{}", path, key));
    } else if (field->is_repeated()) {
      if (!value.has_list_value()) return Fault(path, "a list expected");
      for (int i = 0; i < value.list_value().values_size(); ++i)
        Single(value.list_value().values(i), *field, base::Format("{}[{}]", path, i));
    } else {
      Single(value, *field, path);
    }
  }

  void Single(const pb::Value& value, const pb::FieldDescriptor& field, const std::string& path) {
    if (!IsScalar(field)) return Message(value, *field.message_type(), path);
    if (value.has_struct_value()) Fault(path, "a single value expected, not an object");
    if (value.has_list_value()) Fault(path, "a single value expected, not a list");
    // The parser takes unknown names for members that it may skip.
    if (field.enum_type() != nullptr && value.has_string_value() &&
        field.enum_type()->FindValueByName(value.string_value()) == nullptr &&
        !base::ParseInt(value.string_value()))
      Fault(path, base::Format("'{}' is no {}", value.string_value(), field.enum_type()->name()));
  }

  void Fault(const std::string& path, std::string message) {
    review_.faults.push_back({path, std::move(message)});
  }

  JsonReview& review_;
};

// ---- merging

void ClearReplacedDurations(const pb::Message& from, pb::Message& into) {
  const pb::Reflection& of_from = *from.GetReflection();
  const pb::Reflection& of_into = *into.GetReflection();
  std::vector<const pb::FieldDescriptor*> fields;
  of_from.ListFields(from, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (field->is_repeated() || field->message_type() == nullptr || !of_into.HasField(into, field))
      continue;
    if (field->message_type()->full_name() == "google.protobuf.Duration") {
      of_into.ClearField(&into, field);
    } else {
      ClearReplacedDurations(of_from.GetMessage(from, field),
                             *of_into.MutableMessage(&into, field));
    }
  }
}

}  // namespace

base::Result<std::unique_ptr<pb::Message>> NewMessage(std::string_view type) {
  const pb::Descriptor* descriptor = FindDescriptor(type);
  if (descriptor == nullptr)
    return base::Invalid(base::Format("Envoy's API has no message '{}'", FullName(type)));
  const bool compiled = descriptor->file()->pool() == pb::DescriptorPool::generated_pool();
  const pb::Message* prototype =
      compiled ? pb::MessageFactory::generated_factory()->GetPrototype(descriptor)
               : Dynamic().factory.GetPrototype(descriptor);
  return std::unique_ptr<pb::Message>(prototype->New());
}

base::Result<std::unique_ptr<pb::Message>> Unpack(const pb::Any& any) {
  TRY_ASSIGN(std::unique_ptr<pb::Message> message, NewMessage(any.type_url()));
  if (!message->ParseFromString(any.value()))
    return base::Invalid(base::Format("the bytes are no {}", FullName(any.type_url())));
  return message;
}

base::Status FromJson(std::string_view json, pb::Message& into) {
  std::string bytes;
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = pb::util::JsonToBinaryString(
      &Resolver(), UrlOf(into.GetDescriptor()->full_name()), std::string(json), &bytes, options);
  if (!status.ok()) return base::Invalid(std::string(status.message()));
  if (!into.ParseFromString(bytes)) return base::Invalid("a text in it is not UTF-8");
  return base::Ok{};
}

base::Result<std::string> ToJson(const pb::Message& message) {
  std::string json;
  const auto status =
      pb::util::BinaryToJsonString(&Resolver(), UrlOf(message.GetDescriptor()->full_name()),
                                   SerializeDeterministic(message), &json);
  if (!status.ok()) return base::Invalid(std::string(status.message()));
  return json;
}

JsonReview ReviewJson(std::string_view json, std::string_view type) {
  JsonReview review;
  auto message = NewMessage(type);
  if (!message.has_value()) {
    review.faults.push_back({"", message.error().message()});
    return review;
  }
  pb::Value value;
  if (pb::util::JsonStringToMessage(std::string(json), &value).ok())
    Reviewer(review).Message(value, *(*message)->GetDescriptor(), "");
  std::sort(review.unknown.begin(), review.unknown.end());
  std::sort(review.faults.begin(), review.faults.end(),
            [](const auto& a, const auto& b) { return a.path < b.path; });
  if (review.faults.empty()) {
    // What is left are texts and numbers that do not fit.
    if (const auto status = FromJson(json, **message); !status.has_value())
      review.faults.push_back({"", status.error().message()});
  }
  return review;
}

void Merge(const pb::Message& from, pb::Message& into) {
  ClearReplacedDurations(from, into);
  into.MergeFrom(from);
}

}  // namespace kuma::envoy
