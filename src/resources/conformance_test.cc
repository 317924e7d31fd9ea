#include "tests/conformance/schema_suite.h"

#include "resources/all.h"

namespace kuma::resources {
namespace {

TEST(Conformance, CrdSchemas) {
  conformance::RunCrdSchemas(AllResourceTypes()).Print("crd schemas (resources)");
}
TEST(Conformance, ProtoSchemas) {
  conformance::RunProtoSchemas(AllResourceTypes()).Print("proto-json schemas (resources)");
}

}  // namespace
}  // namespace kuma::resources
