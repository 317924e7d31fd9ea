#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/event_loop.h"
#include "net/internal/session.h"
#include "net/internal/tls_stream.h"
#include "net/limits.h"

namespace kuma::net::internal {

// A connected socket, TLS or not, and the session on it. Confined to its loop.
//
//   [TLS handshake] -> [which protocol?] -> open -> lingering -> closed
//          \_________________\________________\__________________-^
//
// Buffers belong to the loop; a connection has one of its own only while the socket takes no more.
class Connection final : public FdWatcher, public SessionHost {
 public:
  // Outlives the connection.
  class Owner {
   public:
    // The protocol is known; connection.peer() is complete.
    virtual std::unique_ptr<Session> MakeSession(Connection& connection, bool http2) = 0;
    virtual void OnHandshake(bool /*succeeded*/, bool /*resumed*/) {}
    // Last call; the owner hands the connection to EventLoop::DeleteLater.
    virtual void OnClosed(Connection& connection, const base::Error& why) = 0;

   protected:
    ~Owner() = default;
  };

  struct Settings {
    int fd = -1;  // owned from now on
    Peer peer;
    std::unique_ptr<TlsStream> tls;  // null: plain text
    bool server = true;
    bool plain_http2 = false;                // client without TLS: HTTP/2 by prior knowledge
    std::shared_ptr<const void> keep_alive;  // lives as long as the connection: limits, hooks
  };

  Connection(EventLoop& loop, const Limits& limits, Owner& owner, Settings settings);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Begins to read; the owner may be called back from now on.
  void Start();
  // About once a second: times out what takes too long. True: nothing but a long silence can; then
  // the next one may come later.
  bool Tick(runtime::Time now);
  void Drain();
  void DrainNow();
  // Closes at once. Harmless if it is closed.
  void Close(const base::Error& why);

  const Peer& peer() const { return settings_.peer; }
  Session* session() { return session_.get(); }
  EventLoop& event_loop() { return loop_; }

  // SessionHost.
  void WantWrite() override;
  void WakeAt(runtime::Time time) override;
  runtime::SerialExecutor& loop() override { return loop_; }
  Poster poster() override { return loop_.MakePoster(); }

 private:
  void OnReady(uint32_t events) override;
  void OnTurnEnd() override;
  void Read();
  void OnBytes(std::string_view bytes);
  void OnPlain(std::string_view bytes);
  void OnEof();
  void Establish(bool http2);
  // The name of the protocol is not agreed by TLS: the first bytes tell.
  void Sniff(std::string_view bytes);
  bool Push(std::string_view bytes);
  bool FlushPending();
  void Flush();
  void BeginLinger();
  void Linger();
  void UpdateInterest();
  base::Error Failure(const std::string& what) const;

  Settings settings_;
  EventLoop& loop_;
  const Limits& limits_;
  Owner& owner_;
  std::string pending_;  // ciphertext (or plain text) that the socket did not take
  size_t pending_offset_ = 0;
  std::string sniffed_;
  std::unique_ptr<Session> session_;
  runtime::Time since_;  // of the handshake, or of lingering
  runtime::Time stalled_since_{};
  runtime::Time wake_at_{};
  runtime::Timer wake_;
  uint32_t interest_ = 0;
  bool watched_ = false;
  bool failed_ = false;  // the session said so; its last words are still sent
  bool eof_ = false;
  bool lingering_ = false;
  bool draining_ = false;
  bool dead_ = false;
};

}  // namespace kuma::net::internal
