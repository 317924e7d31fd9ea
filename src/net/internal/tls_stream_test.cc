#include "net/internal/tls_stream.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "net/tls.h"

namespace kuma::net::internal {
namespace {

// A server's stream and OpenSSL itself as its client, bytes carried by hand.
class TlsPeers {
 public:
  explicit TlsPeers(uint32_t max_key_updates) {
    auto made = MakeSelfSigned({"localhost"});
    ServerTlsOptions options;
    options.certificate.cert_pem = made->cert_pem;
    options.certificate.key_pem = made->key_pem;
    server = TlsStream::Server(*Credentials::ForServer(options), max_key_updates);
    ssl_ctx_ = SSL_CTX_new(TLS_client_method());
    client = SSL_new(ssl_ctx_);
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(client, in_, out_);
    SSL_set_connect_state(client);
    for (int i = 0; i < 4; ++i) {
      SSL_do_handshake(client);
      Carry();
    }
  }
  ~TlsPeers() {
    SSL_free(client);
    SSL_CTX_free(ssl_ctx_);
  }
  // What the client has to send, and the server's answer; how many bytes that was.
  size_t Carry() {
    char* bytes = nullptr;
    const auto size = static_cast<size_t>(BIO_get_mem_data(out_, &bytes));
    std::string answer;
    server->Feed({bytes, size}, answer, [&](std::string_view plain) { heard += plain; });
    (void)BIO_reset(out_);
    BIO_write(in_, answer.data(), static_cast<int>(answer.size()));
    return answer.size();
  }
  // A new key for each direction, with something said under it.
  bool UpdateKeys() {
    EXPECT_EQ(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
    SSL_do_handshake(client);
    SSL_write(client, "x", 1);
    answered += Carry();
    char byte;
    SSL_read(client, &byte, 1);  // takes the server's own update
    return server->state() == TlsStream::State::kOpen;
  }

  std::unique_ptr<TlsStream> server;
  SSL* client;
  std::string heard;
  size_t answered = 0;

 private:
  SSL_CTX* ssl_ctx_;
  BIO* in_;
  BIO* out_;
};

TEST(TlsStream, KeyUpdatesAreServedAndCounted) {
  TlsPeers peers(20);
  ASSERT_EQ(peers.server->state(), TlsStream::State::kOpen);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(peers.UpdateKeys()) << i;
  EXPECT_EQ(peers.heard, std::string(20, 'x'));
  const size_t answered = peers.answered;
  EXPECT_LT(answered, 20 * 200u);
  EXPECT_FALSE(peers.UpdateKeys());
  EXPECT_EQ(peers.server->error(), "TLS: too many key updates");
  // A thousand at once: one more answer at most.
  TlsPeers flood(20);
  for (int i = 0; i < 1000; ++i) {
    SSL_key_update(flood.client, SSL_KEY_UPDATE_REQUESTED);
    SSL_do_handshake(flood.client);
  }
  EXPECT_LT(flood.Carry(), 4000u);
  EXPECT_EQ(flood.server->state(), TlsStream::State::kFailed);
}

}  // namespace
}  // namespace kuma::net::internal
