#include "tests/conformance/schema_suite.h"

#include "resources/all.h"

namespace kuma::resources {
namespace {

TEST(Conformance, Validators) {
  conformance::RunValidators(AllResourceTypes()).Print("validators (resources)");
}
TEST(Conformance, ValidatorsSpec) {
  conformance::RunValidatorsSpec(AllResourceTypes()).Print("validators-spec (resources)");
}
TEST(Conformance, CrdSchemas) {
  conformance::RunCrdSchemas(AllResourceTypes()).Print("crd schemas (resources)");
}
TEST(Conformance, ProtoSchemas) {
  conformance::RunProtoSchemas(AllResourceTypes()).Print("proto-json schemas (resources)");
}

}  // namespace
}  // namespace kuma::resources
