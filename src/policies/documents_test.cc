// The documents beside the policies and kinds: yaml blocks of READMEs marked `yaml test`, and
// testdata/validate.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policies/schemas.h"
#include "resources/all.h"
#include "tests/conformance/schema_suite.h"

namespace kuma::policies {
namespace {

using conformance::TextOf;
using model::Value;

model::TypeTable AllTypes() {
  auto types = resources::AllResourceTypes();
  types.insert(types.end(), AllPolicySchemas().begin(), AllPolicySchemas().end());
  return model::TypeTable(types);
}

// Text of the fenced blocks that begin with "```yaml test".
std::vector<std::string> TestBlocks(const std::string& markdown) {
  std::vector<std::string> blocks;
  const std::string open = "```yaml test\n";
  size_t at = 0;
  while ((at = markdown.find(open, at)) != std::string::npos) {
    at += open.size();
    const size_t end = markdown.find("```", at);
    blocks.push_back(markdown.substr(at, end - at));
    at = end;
  }
  return blocks;
}

TEST(Documents, ExamplesAreValid) {
  const model::TypeTable types = AllTypes();
  int examples = 0;
  for (const auto folder : {"src/policies", "src/resources"}) {
    for (const auto& file : conformance::FilesIn(conformance::SourceDir() / folder, "README.md")) {
      for (const std::string& block : TestBlocks(conformance::ReadFile(file))) {
        const auto documents = model::ParseYaml(block);
        ASSERT_TRUE(documents.has_value()) << file << ": " << documents.error().message();
        EXPECT_FALSE(documents->empty()) << file;
        for (const Value& document : *documents) {
          ++examples;
          const model::Decoded decoded = model::DecodeResource(document, types);
          EXPECT_EQ(decoded.unreadable + decoded.violations.ToString(), "") << file << "\n"
                                                                            << block;
          EXPECT_THAT(decoded.unknown, testing::IsEmpty()) << file << "\n" << block;
        }
      }
    }
  }
  EXPECT_GT(examples, 0);
}

TEST(Documents, EveryKindHasAReadme) {
  const model::TypeTable types = AllTypes();
  for (const model::ResourceType* type : types.all()) {
    std::string folder;
    for (size_t i = 0; i < type->kind.size(); ++i) {
      const char c = type->kind[i];
      const bool upper = std::isupper(static_cast<unsigned char>(c));
      const bool after_lower = i > 0 && std::islower(static_cast<unsigned char>(type->kind[i - 1]));
      const bool ends_word = i > 0 && i + 1 < type->kind.size() && upper &&
                             std::islower(static_cast<unsigned char>(type->kind[i + 1]));
      if (upper && (after_lower || ends_word)) folder += '_';
      folder += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    const auto root =
        conformance::SourceDir() / "src" / (type->is_policy ? "policies" : "resources") / folder;
    EXPECT_TRUE(std::filesystem::exists(root / "README.md")) << root;
  }
}

TEST(Schemas, SayWhatTheyHave) {
  std::string table;
  for (const model::ResourceType* type : AllPolicySchemas())
    table += base::Format("{} {} {}\n", type->kind, type->policy_has_to ? "to" : "-",
                          type->policy_has_rules ? "rules" : "-");
  EXPECT_EQ(table,
            "MeshHTTPRoute to -\nMeshPassthrough - -\nMeshLoadBalancingStrategy to -\n"
            "MeshAccessLog to rules\nMeshTimeout to rules\nMeshHealthCheck to -\n"
            "MeshCircuitBreaker to rules\nMeshRetry to -\nMeshProxyPatch - -\n");
}

// Each file: {resource: ..., violations: [{field, message}], unknown: [paths]}; the last two may be
// absent.
TEST(Documents, Violations) {
  const model::TypeTable types = AllTypes();
  int cases = 0;
  for (const auto folder : {"src/policies", "src/resources"}) {
    for (const auto& file : conformance::FilesIn(conformance::SourceDir() / folder, ".yaml")) {
      if (file.parent_path().filename() != "validate") continue;
      ++cases;
      const Value test = conformance::ParseOneYaml(conformance::ReadFile(file), file.string());
      ASSERT_NE(test.Find("resource"), nullptr) << file;
      const model::Decoded decoded = model::DecodeResource(*test.Find("resource"), types);
      EXPECT_EQ(decoded.unreadable, "") << file;
      EXPECT_TRUE(conformance::SameViolations(decoded.violations, test.Find("violations")))
          << file << "\nfound: " << decoded.violations.ToString();
      std::vector<std::string> unknown;
      if (const Value* list = test.Find("unknown"))
        for (const Value& path : *list->if_array()) unknown.push_back(TextOf(&path));
      EXPECT_EQ(decoded.unknown, unknown) << file;
    }
  }
  EXPECT_GT(cases, 0);
}

}  // namespace
}  // namespace kuma::policies
