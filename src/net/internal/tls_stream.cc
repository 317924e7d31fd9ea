#include "net/internal/tls_stream.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "base/format.h"
#include "base/strings.h"

namespace kuma::net::internal {
namespace {

// OpenSSL wants its queue of errors empty before each call. Looking is cheaper than emptying it.
void ForgetErrors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string NameText(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &bytes);
  return {bytes, static_cast<size_t>(size)};
}

std::string CommonName(X509_NAME* name) {
  std::array<char, 256> text{};
  const int size =
      X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : std::string();
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const Credentials> credentials, bool server,
                     uint32_t max_key_updates)
    : credentials_(std::move(credentials)),
      ssl_(SSL_new(credentials_->get())),
      max_key_updates_(max_key_updates) {
  CHECK(ssl_ != nullptr, "out of memory");
  BIO* bio = BIO_new(Method());
  CHECK(bio != nullptr, "out of memory");
  BIO_set_data(bio, this);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_msg_callback(ssl_, OnMessage);
  SSL_set_msg_callback_arg(ssl_, this);
  if (server) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

std::unique_ptr<TlsStream> TlsStream::Server(std::shared_ptr<const Credentials> credentials,
                                             uint32_t max_key_updates) {
  return std::unique_ptr<TlsStream>(new TlsStream(std::move(credentials), true, max_key_updates));
}

std::unique_ptr<TlsStream> TlsStream::Client(std::shared_ptr<const Credentials> credentials,
                                             const std::string& host, uint32_t max_key_updates) {
  const bool verify = !credentials->skip_verify();
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(credentials), false, max_key_updates));
  std::array<unsigned char, 16> address{};
  const bool is_address = inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
                          inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
  if (!is_address && !host.empty()) SSL_set_tlsext_host_name(stream->ssl_, host.c_str());
  if (verify && is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream->ssl_), host.c_str());
  } else if (verify) {
    SSL_set1_host(stream->ssl_, host.c_str());
  }
  return stream;
}

int TlsStream::BioRead(BIO* bio, char* out, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  // OpenSSL takes updates one after the other without returning: too many are not read at all.
  const bool flooded = self.key_updates_ > self.max_key_updates_;
  const size_t count = flooded ? 0 : std::min(static_cast<size_t>(size), self.input_.size());
  if (count == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  std::memcpy(out, self.input_.data(), count);
  self.input_.remove_prefix(count);
  return static_cast<int>(count);
}

int TlsStream::BioWrite(BIO* bio, const char* in, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.output_ != nullptr) self.output_->append(in, static_cast<size_t>(size));
  return size;
}

const BIO_METHOD* TlsStream::Method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
    CHECK(fresh != nullptr, "out of memory");
    BIO_meth_set_read(fresh, BioRead);
    BIO_meth_set_write(fresh, BioWrite);
    BIO_meth_set_ctrl(fresh, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    BIO_meth_set_create(fresh, [](BIO* bio) {
      BIO_set_init(bio, 1);
      return 1;
    });
    return fresh;
  }();
  return method;
}

void TlsStream::OnMessage(int write, int, int type, const void* bytes, size_t size, SSL*,
                          void* argument) {
  if (write != 0 || type != SSL3_RT_HANDSHAKE || size == 0) return;
  if (static_cast<const unsigned char*>(bytes)[0] == SSL3_MT_KEY_UPDATE) {
    ++static_cast<TlsStream*>(argument)->key_updates_;
  }
}

void TlsStream::Fail() {
  state_ = State::kFailed;
  const long verify = SSL_get_verify_result(ssl_);
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  const bool of_verification = code != 0 && ERR_GET_LIB(code) == ERR_LIB_SSL &&
                               ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  if (of_verification && verify != X509_V_OK) {
    error_ = base::Format("certificate verify failed: {}", X509_verify_cert_error_string(verify));
  } else {
    error_ = base::Format("TLS: {}", reason == nullptr ? "protocol error" : reason);
  }
  ERR_clear_error();
}

bool TlsStream::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) {
    state_ = State::kOpen;
    return true;
  }
  if (SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) Fail();
  return false;
}

TlsStream::State TlsStream::Start(std::string& cipher_out) {
  output_ = &cipher_out;
  Handshake();
  output_ = nullptr;
  return state_;
}

TlsStream::State TlsStream::Feed(std::string_view cipher, std::string& cipher_out,
                                 const PlainSink& sink) {
  input_ = cipher;
  output_ = &cipher_out;
  if (state_ == State::kHandshake) Handshake();
  std::array<char, 16384> plain;
  // Nothing to read is an error to OpenSSL, and asking for it costs half as much as reading.
  while (state_ == State::kOpen && (!input_.empty() || SSL_pending(ssl_) > 0)) {
    ForgetErrors();
    const int size = SSL_read(ssl_, plain.data(), static_cast<int>(plain.size()));
    if (key_updates_ > max_key_updates_) {
      state_ = State::kFailed;
      error_ = "TLS: too many key updates";
    } else if (size > 0) {
      sink({plain.data(), static_cast<size_t>(size)});
    } else {
      const int error = SSL_get_error(ssl_, size);
      if (error == SSL_ERROR_WANT_READ) break;
      if (error == SSL_ERROR_ZERO_RETURN) {
        state_ = State::kClosed;
      } else {
        Fail();
      }
    }
  }
  input_ = {};
  output_ = nullptr;
  return state_;
}

bool TlsStream::Write(std::string_view plain, std::string& cipher_out) {
  output_ = &cipher_out;
  while (!plain.empty() && state_ != State::kFailed) {
    ForgetErrors();
    const int size =
        SSL_write(ssl_, plain.data(), static_cast<int>(std::min<size_t>(plain.size(), 1 << 20)));
    if (size <= 0) {
      Fail();
    } else {
      plain.remove_prefix(static_cast<size_t>(size));
    }
  }
  output_ = nullptr;
  return state_ != State::kFailed;
}

void TlsStream::Close(std::string& cipher_out) {
  if (state_ != State::kOpen && state_ != State::kClosed) return;
  output_ = &cipher_out;
  SSL_shutdown(ssl_);
  ERR_clear_error();
  output_ = nullptr;
}

std::string TlsStream::alpn() const {
  const unsigned char* name = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsStream::resumed() const { return SSL_session_reused(ssl_) != 0; }

std::shared_ptr<const PeerCertificate> TlsStream::peer_certificate() const {
  X509* certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return nullptr;
  auto peer = std::make_shared<PeerCertificate>();
  X509_NAME* subject = X509_get_subject_name(certificate);
  peer->subject = NameText(subject);
  peer->common_name = CommonName(subject);
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS && name->type != GEN_URI) continue;
    const ASN1_IA5STRING* text =
        name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
    std::string value(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<size_t>(ASN1_STRING_length(text)));
    (name->type == GEN_DNS ? peer->dns_names : peer->uris).push_back(std::move(value));
  }
  GENERAL_NAMES_free(names);
  return peer;
}

}  // namespace kuma::net::internal
