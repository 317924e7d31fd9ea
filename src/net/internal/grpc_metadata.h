#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/grpc.h"
#include "net/http.h"

namespace kuma::net::internal {

// "application/grpc", also with a suffix such as "+proto".
bool IsGrpcType(std::string_view content_type);
// A header value without what could end it, and without white space around it.
std::string CleanedValue(const std::string& value);
// Appends metadata of ours as it goes over the wire. Names of the protocol itself are left out.
void AppendMetadata(const Headers& metadata, Headers& out);
// The reverse. False: a binary value is not base64.
bool DecodeMetadata(const Headers& received, Headers& out);

// What a call ends with when the server answers something else than gRPC.
GrpcStatus StatusOfHttp(int status);
// ... or resets the stream with an HTTP/2 error code.
GrpcStatus StatusOfReset(uint32_t code);

}  // namespace kuma::net::internal
