// Questions to an Envoy, which is a server with the certificate of an admin listener here.

#include "rest/envoy_admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "base/format.h"
#include "base/strings.h"
#include "identity/certificates.h"
#include "net/server.h"
#include "resources/all.h"
#include "rest/problem.h"
#include "store/memory/memory_store.h"

namespace kuma::rest {
namespace {

using testing::HasSubstr;
using testing::Not;

class EnvoyAdminTest : public testing::Test {
 protected:
  EnvoyAdminTest()
      : authority_(*identity::CertificateAuthority::Generate("Envoy Admin CA", clock_.WallNow())) {
    identity::KeyPair own = *identity::ControlPlaneClientCertificate(
        authority_, identity::EpochOf(identity::kControlPlaneHost, clock_.WallNow()));
    EnvoyAdmin::Settings settings{
        .config_dump = {{"ann"}, {}}, .stats = {{"ann"}, {}}, .clusters = {{"ann"}, {}}, .tls = {}};
    settings.tls.ca_pem = authority_.certificate();
    settings.tls.certificate.cert_pem = own.certificate;
    settings.tls.certificate.key_pem = own.key;
    admin_ = std::make_unique<EnvoyAdmin>(*store_, loops_.at(0), std::move(settings));
  }

  void StartEnvoy(std::string body, int status = 200) {
    identity::KeyPair pair = *identity::AdminServerCertificate(
        authority_, "127.0.0.1", identity::EpochOf("127.0.0.1", clock_.WallNow()));
    net::ServerOptions options;
    options.tls.emplace();
    options.tls->certificate.cert_pem = pair.certificate;
    options.tls->certificate.key_pem = pair.key;
    options.tls->client_certificates = net::ClientCertificates::kRequired;
    options.tls->client_ca_pem = authority_.certificate();
    auto started = net::Server::Start(
        loops_, options,
        [this, body, status](net::HttpRequest request, net::HttpResponder responder) {
          asked_ = request.target;
          responder.Send({.status = status, .headers = {}, .body = body});
        });
    ASSERT_TRUE(started.has_value()) << started.error().message();
    envoy_ = std::move(*started);
    Put("{type: Dataplane, mesh: default, name: web, networking: {address: 127.0.0.1, inbound: "
        "[{port: 80}]}}");
    Put(
        base::Format("{{type: DataplaneInsight, mesh: default, name: web, metadata: "
                     "{{dataplane.admin.port: '{}'}}}}",
                     envoy_->port()));
  }

  void Put(const std::string& yaml) {
    static const model::TypeTable types(resources::AllResourceTypes());
    const auto documents = model::ParseYaml(yaml);
    ASSERT_TRUE(documents.has_value());
    const auto decoded = model::DecodeResource(documents->front(), types, true);
    ASSERT_NE(decoded.resource, nullptr) << decoded.violations.ToString() << decoded.unreadable;
    store::Transaction transaction;
    transaction.writes.emplace_back().resource = decoded.resource;
    ASSERT_TRUE(store_->Commit(transaction).has_value());
  }

  net::HttpResponse Ask(const std::string& target, const std::string& user = "ann") {
    net::HttpRequest request;
    request.method = "GET";
    EXPECT_TRUE(net::ParseTarget(target, request));
    const std::vector<std::string> at = base::Split(std::string_view(request.path).substr(1), '/');
    EXPECT_TRUE(EnvoyAdmin::Has(at)) << target;
    std::promise<net::HttpResponse> answer;
    admin_->Serve(request, at, {user, {}},
                  [&answer](net::HttpResponse response) { answer.set_value(std::move(response)); });
    return answer.get_future().get();
  }

  const runtime::SystemClock clock_;
  std::unique_ptr<store::Store> store_ = store::NewMemoryStore(clock_, true);
  net::EventLoops loops_{1, "test"};
  identity::CertificateAuthority authority_;
  std::unique_ptr<net::Server> envoy_;
  std::string asked_;
  std::unique_ptr<EnvoyAdmin> admin_;
};

TEST_F(EnvoyAdminTest, PassesQuestionsOn) {
  StartEnvoy(
      "{\"bootstrap\": {\"ads\": {\"initial_metadata\": [{\"key\": \"authorization\", \"value\": "
      "\"secret\"}]}}}");
  const net::HttpResponse dump = Ask("/meshes/default/dataplanes/web/xds?include_eds=true");
  EXPECT_EQ(dump.status, 200);
  EXPECT_EQ(asked_, "/config_dump?include_eds");
  EXPECT_THAT(dump.body, HasSubstr("[redacted]"));
  EXPECT_THAT(dump.body, HasSubstr("authorization"));
  EXPECT_THAT(dump.body, Not(HasSubstr("secret")));
  Ask("/meshes/default/dataplanes/web/xds");
  EXPECT_EQ(asked_, "/config_dump");
  Ask("/meshes/default/dataplanes/web/stats");
  EXPECT_EQ(asked_, "/stats?usedonly");
  Ask("/meshes/default/dataplanes/web/stats?usedonly=false&format=json");
  EXPECT_EQ(asked_, "/stats?format=json");
  Ask("/meshes/default/dataplanes/web/clusters");
  EXPECT_EQ(asked_, "/clusters");
}

TEST_F(EnvoyAdminTest, SaysWhyNot) {
  EXPECT_EQ(Ask("/meshes/default/dataplanes/web/stats").status, 404);
  EXPECT_EQ(Ask("/meshes/default/dataplanes/web/stats", "joe").status, 403);
  StartEnvoy("no", 500);
  EXPECT_THAT(Ask("/meshes/default/dataplanes/web/clusters").body,
              HasSubstr("Envoy answered with status 500"));
  envoy_.reset();
  const net::HttpResponse gone = Ask("/meshes/default/dataplanes/web/stats");
  EXPECT_EQ(gone.status, 503);
  EXPECT_THAT(gone.body, HasSubstr("is kuma-dp running"));
  EXPECT_FALSE(
      EnvoyAdmin::Has(std::vector<std::string>{"meshes", "m", "dataplanes", "x", "other"}));
}

}  // namespace
}  // namespace kuma::rest
