#include "envoy/holes.h"

#include <optional>

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <envoy/service/discovery/v3/discovery.pb.h>
#include "base/format.h"
#include "base/strings.h"
#include "bundle/template.h"
#include "envoy/message_types.h"

namespace kuma::envoy {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::internal::WireFormatLite;

bool HasMark(std::string_view bytes) {
  return bytes.find(bundle::kHoleMarkBegin) != std::string_view::npos;
}

base::Error Unreadable(std::string_view what) {
  return base::Internal(base::Format("a hole in {}", what));
}

// Walks serialised messages by their descriptors and copies them into a template.
class Walk {
 public:
  Walk(size_t holes, bundle::Template& out) : holes_(holes), out_(out) {}

  base::Status Message(const Descriptor& type, std::string_view bytes) {
    if (type.full_name() == "google.protobuf.Any") return Any(bytes);
    return Fields(
        bytes,
        [&](const FieldDescriptor* field, std::string_view value) -> base::Status {
          if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE)
            return Message(*field->message_type(), value);
          if (field != nullptr && (field->type() == FieldDescriptor::TYPE_STRING ||
                                   field->type() == FieldDescriptor::TYPE_BYTES)) {
            Text(value);
            return base::Ok{};
          }
          return Unreadable(type.full_name());
        },
        type);
  }

 private:
  // The type of `value` is what `type_url` names.
  base::Status Any(std::string_view bytes) {
    google::protobuf::Any any;
    if (!any.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return Unreadable("an Any");
    TRY_ASSIGN(const auto packed, NewMessage(any.type_url()));
    return Fields(
        bytes,
        [&](const FieldDescriptor* field, std::string_view value) -> base::Status {
          if (field == nullptr || field->number() != google::protobuf::Any::kValueFieldNumber)
            return Unreadable("a type URL");
          return Message(*packed->GetDescriptor(), value);
        },
        *google::protobuf::Any::descriptor());
  }

  // Calls on_hole(descriptor or null, content) for each length-delimited field with marks.
  template <class F>
  base::Status Fields(std::string_view bytes, F on_hole, const Descriptor& type) {
    google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                              static_cast<int>(bytes.size()));
    const auto at = [&] { return static_cast<size_t>(in.CurrentPosition()); };
    while (at() < bytes.size()) {
      const size_t begin = at();
      const uint32_t tag = in.ReadTag();
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (!WireFormatLite::SkipField(&in, tag)) return Unreadable(type.full_name());
        out_.Text(bytes.substr(begin, at() - begin));
        continue;
      }
      const size_t after_tag = at();
      uint32_t size = 0;
      if (!in.ReadVarint32(&size) || size > bytes.size() - at())
        return Unreadable(type.full_name());
      const size_t content = at();
      in.Skip(static_cast<int>(size));
      const std::string_view value = bytes.substr(content, size);
      if (!HasMark(value)) {
        out_.Text(bytes.substr(begin, content + size - begin));
        continue;
      }
      out_.Text(bytes.substr(begin, after_tag - begin));
      out_.Open();
      TRY(on_hole(type.FindFieldByNumber(WireFormatLite::GetTagFieldNumber(tag)), value));
      out_.Close();
    }
    return base::Ok{};
  }

  // What only looks like a mark is text: users may write anything.
  void Text(std::string_view text) {
    size_t at = 0;
    while ((at = text.find(bundle::kHoleMarkBegin, at)) != std::string_view::npos) {
      const size_t number = at + bundle::kHoleMarkBegin.size();
      const size_t end = text.find(bundle::kHoleMarkEnd, number);
      if (end == std::string_view::npos) break;
      const std::string_view digits = text.substr(number, end - number);
      const std::optional<uint64_t> hole =
          digits == kVersionMark ? bundle::Template::kVersion : base::ParseUint(digits);
      if (!hole || (*hole >= holes_ && *hole != bundle::Template::kVersion)) {
        at = number;
        continue;
      }
      out_.Text(text.substr(0, at));
      out_.Hole(*hole);
      text = text.substr(end + bundle::kHoleMarkEnd.size());
      at = 0;
    }
    out_.Text(text);
  }

 public:
  static constexpr std::string_view kVersionMark = "v";

 private:
  size_t holes_;
  bundle::Template& out_;
};

}  // namespace

base::Result<bundle::SealedPtr> WithHoles(bundle::SealedPtr sealed, size_t holes) {
  if (!HasMark(*sealed->bytes)) return sealed;
  ::envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  // The version is a text like the others.
  if (!response.ParseFromString(*sealed->bytes) || response.resources_size() != 1)
    return Unreadable("a response");
  response.mutable_resources(0)->set_version(
      base::Format("{}{}{}", bundle::kHoleMarkBegin, Walk::kVersionMark, bundle::kHoleMarkEnd));
  const std::string marked = response.SerializeAsString();
  auto mould = std::make_shared<bundle::Template>();
  TRY(Walk(holes, *mould).Message(*response.GetDescriptor(), marked));
  auto made = std::make_shared<bundle::SealedResource>(*sealed);
  made->bytes = nullptr;
  made->mould = std::move(mould);
  return bundle::SealedPtr(std::move(made));
}

}  // namespace kuma::envoy
