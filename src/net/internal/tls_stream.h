#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"
#include "net/internal/credentials.h"

struct bio_method_st;
struct bio_st;
struct ssl_st;  // SSL

namespace kuma::net::internal {

// TLS without I/O: ciphertext in and out through buffers of the caller, so that an idle connection
// has none of its own. Confined to one executor.
class TlsStream {
 public:
  enum class State : uint8_t { kHandshake, kOpen, kClosed, kFailed };
  using PlainSink = std::function<void(std::string_view)>;

  static std::unique_ptr<TlsStream> Server(std::shared_ptr<const Credentials> credentials,
                                           uint32_t max_key_updates);
  // `host` is sent as SNI if it is a name, and verified unless the credentials skip that.
  static std::unique_ptr<TlsStream> Client(std::shared_ptr<const Credentials> credentials,
                                           const std::string& host, uint32_t max_key_updates);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Client: makes the first flight.
  State Start(std::string& cipher_out);
  // Consumes all of `cipher`; appends what is to be sent to `cipher_out`; gives plain text to
  // `sink` in pieces of at most 16 KB. The sink must not call this stream.
  State Feed(std::string_view cipher, std::string& cipher_out, const PlainSink& sink);
  // REQUIRES: state() == kOpen. False: failed.
  bool Write(std::string_view plain, std::string& cipher_out);
  // close_notify.
  void Close(std::string& cipher_out);

  State state() const { return state_; }
  // Why it failed: "certificate verify failed: self-signed certificate".
  const std::string& error() const { return error_; }
  std::string alpn() const;  // empty: none was agreed
  bool resumed() const;
  // Null: none was shown.
  std::shared_ptr<const PeerCertificate> peer_certificate() const;

 private:
  TlsStream(std::shared_ptr<const Credentials> credentials, bool server, uint32_t max_key_updates);
  static int BioRead(bio_st* bio, char* out, int size);
  static int BioWrite(bio_st* bio, const char* in, int size);
  static const bio_method_st* Method();
  static void OnMessage(int write, int version, int type, const void* bytes, size_t size,
                        ssl_st* ssl, void* self);
  bool Handshake();
  void Fail();

  std::shared_ptr<const Credentials> credentials_;
  ssl_st* ssl_;
  State state_ = State::kHandshake;
  const uint32_t max_key_updates_;
  uint32_t key_updates_ = 0;
  std::string_view input_;         // during a call
  std::string* output_ = nullptr;  // during a call
  std::string error_;
};

}  // namespace kuma::net::internal
