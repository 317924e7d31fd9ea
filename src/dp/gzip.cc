#include "dp/gzip.h"

#include <zlib.h>

#include "base/check.h"

namespace kuma::dp {

std::string Gzip(std::string_view bytes) {
  constexpr int kGzip = 15 + 16;  // the largest window, with gzip's header and trailer
  constexpr int kMemory = 8;
  z_stream stream{};
  CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory,
                     Z_DEFAULT_STRATEGY) == Z_OK,
        "out of memory");
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "deflateBound is enough");
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace kuma::dp
