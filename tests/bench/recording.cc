#include "tests/bench/recording.h"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "net/server.h"
#include "tests/kit/wire.h"

namespace kuma::bench {
namespace {

// The recording as protobuf-like fields: 1 slice; 2 stream {1 server message, 2 client message
// {1 phase, 2 after, 3 head, 4 slice}}.
void AppendNumber(std::string& out, uint32_t number, uint64_t value) {
  kit::AppendVarint(out, number << 3);
  kit::AppendVarint(out, value);
}

std::string Encode(const RecordedMessage& message) {
  std::string out;
  AppendNumber(out, 1, message.phase);
  AppendNumber(out, 2, message.after);
  kit::AppendBytes(out, 3, message.head);
  for (const uint32_t slice : message.slices) AppendNumber(out, 4, slice);
  return out;
}

RecordedMessage DecodeMessage(std::string_view bytes) {
  RecordedMessage message;
  kit::Fields fields(bytes);
  while (fields.Next()) {
    switch (fields.number()) {
      case 1: message.phase = static_cast<uint32_t>(fields.varint()); break;
      case 2: message.after = static_cast<uint32_t>(fields.varint()); break;
      case 3: message.head = fields.text(); break;
      default: message.slices.push_back(static_cast<uint32_t>(fields.varint())); break;
    }
  }
  return message;
}

struct Phase {
  std::atomic<uint32_t> current = 0;
  std::mutex mutex;
  std::set<class Replay*> streams;
};

// One stream of the bare server. Confined to its loop.
class Replay final : public net::GrpcStreamHandler {
 public:
  Replay(const Recording& recording, size_t number, Phase& phase)
      : recording_(recording), script_(recording.streams[number].server), phase_(phase) {}

  void OnStart(net::GrpcStream& stream) override {
    stream_ = &stream;
    const std::lock_guard lock(phase_.mutex);
    phase_.streams.insert(this);
  }
  void OnMessage(std::string_view) override {
    ++received_;
    Go();
  }
  void OnHalfClose() override { stream_->Finish({}); }
  void OnClosed(const net::GrpcStatus&, const net::Headers&) override {
    const std::lock_guard lock(phase_.mutex);
    phase_.streams.erase(this);
  }
  void Go() {
    while (next_ < script_.size() && script_[next_].after <= received_ &&
           script_[next_].phase <= phase_.current) {
      const RecordedMessage& message = script_[next_++];
      std::vector<net::Slice> slices;
      slices.reserve(message.slices.size());
      for (const uint32_t slice : message.slices) slices.push_back(recording_.slices[slice]);
      stream_->Send(message.head, std::move(slices));
    }
  }
  net::GrpcStream& stream() { return *stream_; }

 private:
  const Recording& recording_;
  const std::vector<RecordedMessage>& script_;
  Phase& phase_;
  net::GrpcStream* stream_ = nullptr;
  size_t next_ = 0;
  uint32_t received_ = 0;
};

}  // namespace

void Recording::FromServer(size_t stream, std::string_view message) {
  if (streams.size() <= stream) streams.resize(stream + 1);
  RecordedMessage recorded;
  recorded.phase = phase;
  recorded.after = static_cast<uint32_t>(streams[stream].client.size());
  kit::Fields fields(message);
  while (fields.Next()) {
    if (fields.number() != 2) {
      recorded.head += fields.whole();
      continue;
    }
    const auto found = known_.find(fields.whole());
    if (found != known_.end()) {
      recorded.slices.push_back(found->second);
      continue;
    }
    slices.push_back(std::make_shared<const std::string>(fields.whole()));
    known_.emplace(*slices.back(), static_cast<uint32_t>(slices.size() - 1));
    recorded.slices.push_back(static_cast<uint32_t>(slices.size() - 1));
  }
  streams[stream].server.push_back(std::move(recorded));
}

void Recording::FromClient(size_t stream, std::string_view message) {
  if (streams.size() <= stream) streams.resize(stream + 1);
  streams[stream].client.push_back({.phase = phase,
                                    .after = static_cast<uint32_t>(streams[stream].server.size()),
                                    .head = std::string(message),
                                    .slices = {}});
}

base::Status Recording::Save(const std::string& path) const {
  std::string out;
  for (const net::Slice& slice : slices) kit::AppendBytes(out, 1, *slice);
  for (const RecordedStream& stream : streams) {
    std::string text;
    for (const RecordedMessage& message : stream.server) {
      kit::AppendBytes(text, 1, Encode(message));
    }
    for (const RecordedMessage& message : stream.client) {
      kit::AppendBytes(text, 2, Encode(message));
    }
    kit::AppendBytes(out, 2, text);
  }
  std::ofstream file(path, std::ios::binary);
  file << out;
  file.close();
  if (!file) return base::Unavailable("write " + path);
  return base::Ok{};
}

base::Result<Recording> Recording::Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (text.empty()) return base::Unavailable("read " + path);
  Recording recording;
  kit::Fields fields(text);
  while (fields.Next()) {
    if (fields.number() == 1) {
      recording.slices.push_back(std::make_shared<const std::string>(fields.bytes()));
      continue;
    }
    RecordedStream& stream = recording.streams.emplace_back();
    kit::Fields messages(fields.bytes());
    while (messages.Next()) {
      (messages.number() == 1 ? stream.server : stream.client)
          .push_back(DecodeMessage(messages.bytes()));
    }
  }
  return recording;
}

int ServeRecording(const std::string& path) {
  auto recording = Recording::Load(path);
  if (!recording) {
    std::fprintf(stderr, "%s\n", recording.error().message().c_str());
    return 1;
  }
  for (RecordedStream& stream : recording->streams) stream.client.clear();
  auto made = net::MakeSelfSigned({"localhost", "127.0.0.1"});
  CHECK(made.has_value(), "a certificate can be made");
  Phase phase;
  net::EventLoops loops(2);  // as many as kuma-cp has
  net::ServerOptions options;
  options.tls.emplace();
  options.tls->certificate.cert_pem = made->cert_pem;
  options.tls->certificate.key_pem = made->key_pem;
  auto server = net::Server::Start(
      loops, options, nullptr, [&](const net::GrpcRequest& request) -> net::GrpcAnswer {
        const auto number = base::ParseUint(request.metadata.Get("x-stream"));
        if (!number || *number >= recording->streams.size())
          return net::GrpcStatus{net::GrpcCode::kNotFound, "no such stream"};
        return std::make_unique<Replay>(*recording, *number, phase);
      });
  CHECK(server.has_value(), "the server starts");
  std::printf("%s\n", (*server)->url().c_str());
  std::fflush(stdout);
  uint32_t next = 0;
  while (std::cin >> next) {
    phase.current = next;
    const std::lock_guard lock(phase.mutex);
    for (Replay* stream : phase.streams) {
      stream->stream().loop().Post([&phase, stream] {
        {
          const std::lock_guard again(phase.mutex);
          if (!phase.streams.contains(stream)) return;
        }
        stream->Go();
      });
    }
  }
  return 0;
}

}  // namespace kuma::bench
