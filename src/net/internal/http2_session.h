#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/internal/frame_buffer.h"
#include "net/internal/session.h"

struct nghttp2_session;

namespace kuma::net::internal {

// HTTP/2 with gRPC framing on nghttp2, server or client.
//
// Sending never joins a message: Produce copies its slices straight into the caller's buffer, which
// becomes TLS records. Receiving gives back window as bytes are taken out of nghttp2, so that a
// message may be larger than the window.
class Http2Session final : public ClientSession {
 public:
  // Limits, hooks, host and `frames` outlive the session.
  static std::unique_ptr<Http2Session> MakeServer(const Limits& limits, const ServerHooks& hooks,
                                                  Peer peer, SessionHost& host, FrameBuffer* frames,
                                                  runtime::Time now);
  // It has a frame buffer of its own: nghttp2 puts the preface into it long before it is sent.
  static std::unique_ptr<Http2Session> MakeClient(const Limits& limits, Peer peer,
                                                  SessionHost& host, runtime::Time now);
  ~Http2Session() override;

  bool Feed(std::string_view bytes, runtime::Time now) override;
  size_t Produce(std::span<char> out, runtime::Time now) override;
  bool Finished() const override;
  bool OnEof(runtime::Time) override { return false; }
  bool OnTimer(runtime::Time now) override;
  bool IsCalm() const override;
  void Drain(runtime::Time now) override;
  void DrainNow(runtime::Time now) override;
  void OnDisconnected(const base::Error& why) override;

  // REQUIRES for what follows: a client.
  bool CanStart() const override;
  size_t in_progress() const override { return streams_.size(); }
  uint64_t StartRequest(HttpRequest request, runtime::Time now, ResponseDone done) override;
  void CancelRequest(uint64_t number) override;
  bool AnswerBegan(uint64_t number) const override;
  // Calls OnStart of the handler before it returns. REQUIRES: CanStart().
  void StartCall(const GrpcCall& call, std::string_view authority, runtime::Time now,
                 std::unique_ptr<GrpcStreamHandler> handler);
  // The peer's SETTINGS arrived: the connection works.
  bool ready() const { return ready_; }

 private:
  // A frame header and a worthwhile piece of DATA: with less room in the buffer nothing is
  // produced.
  static constexpr size_t kMinRoom = 521;
  // More than can be open at once.
  static constexpr size_t kResetsRemembered = 128;

  struct Stream;
  struct Callbacks;

  Http2Session(bool server, const Limits& limits, const ServerHooks& hooks, Peer peer,
               SessionHost& host, FrameBuffer* frames, runtime::Time now);

  Stream* Find(int32_t id) const;
  bool AllowFrame(uint8_t type, uint8_t flags, size_t length);
  void CountReset(uint32_t code);
  // Whether the peer must know that this stream has ended (RFC 9113, 5.1).
  bool IsLate(uint8_t type, int32_t id) const;
  void RememberReset(int32_t id);
  int Fail(std::string why, uint32_t code);
  void OnRequestHeaders(Stream& stream, bool end);
  void AcceptCall(Stream& stream, bool end);
  void RefuseCall(Stream& stream, const GrpcStatus& status);
  void DispatchRequest(Stream& stream);
  void Respond(Stream& stream, HttpResponse response);
  void OnAnswerHeaders(Stream& stream, bool end);
  void OnEnd(Stream& stream);
  void OnBody(Stream& stream, std::string_view bytes);
  void OnMessageBytes(Stream& stream, std::string_view bytes);
  void Close(std::unique_ptr<Stream> stream, uint32_t code);
  void Abort(Stream& stream, GrpcStatus status, uint32_t code);
  void Resume(Stream& stream);
  bool Buffer(Stream& stream, size_t bytes);
  void SendFinalGoaway();
  void SweepStreams(runtime::Time now);

  const bool server_;
  const Limits& limits_;
  const ServerHooks& hooks_;
  const Peer peer_;
  SessionHost& host_;
  SessionMemory memory_;  // of session_
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::unique_ptr<Stream>> streams_;
  std::shared_ptr<Http2Session*> self_;  // null after destruction; used on the loop only
  int32_t last_stream_ = 0;              // server: the newest that the peer opened
  // Streams that were reset by this side, a ring: the peer may have sent more before it heard.
  std::vector<int32_t> reset_;
  size_t next_reset_ = 0;

  std::string unsent_;   // the rest of a frame that did not fit
  char* out_ = nullptr;  // during Produce
  size_t room_ = 0;
  std::vector<int32_t> low_;  // streams that OnQueueLow is due for

  runtime::Time now_;
  runtime::Time heard_;        // when bytes last arrived
  runtime::Time empty_since_;  // no streams
  runtime::Time ping_sent_{};
  runtime::Time final_goaway_at_{};
  size_t buffered_ = 0;
  bool ready_ = false;
  bool ping_outstanding_ = false;
  bool draining_ = false;
  bool final_goaway_ = false;
  bool dead_ = false;
  bool ended_answer_began_ = false;  // of the stream that ends right now
  TokenBucket resets_, pings_, settings_, priorities_, window_updates_, empty_data_, continuations_,
      other_frames_;
};

}  // namespace kuma::net::internal
