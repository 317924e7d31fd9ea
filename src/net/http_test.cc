#include "net/http.h"

#include <gtest/gtest.h>

#include "net/grpc.h"

namespace kuma::net {
namespace {

TEST(Headers, NamesAreCompareWithoutCaseAndMayRepeat) {
  Headers headers{{"Accept", "a"}, {"X-Token", "1"}, {"accept", "b"}};
  EXPECT_EQ(headers.Get("ACCEPT"), "a");
  EXPECT_EQ(headers.GetAll("accept"), (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(headers.Find("none"), nullptr);
  EXPECT_EQ(headers.Get("none"), "");
  headers.Set("accept", "c");
  EXPECT_EQ(headers.GetAll("accept").size(), 1u);
  headers.Remove("Accept");
  EXPECT_FALSE(headers.Has("accept"));
  EXPECT_EQ(headers.begin()->first, "x-token");
}

TEST(Target, MayBeTheOneOfTheRequest) {
  HttpRequest request;
  request.target = "/meshes/default/dataplanes/a-long-name?size=1000";
  ASSERT_TRUE(ParseTarget(request.target, request));
  EXPECT_EQ(request.path, "/meshes/default/dataplanes/a-long-name");
  EXPECT_EQ(*request.FindQuery("size"), "1000");
}

TEST(Target, IsSplitAndDecoded) {
  HttpRequest request;
  ASSERT_TRUE(ParseTarget("/meshes/a%20b/x?size=10&name=a+b%26&flag&=v&name=2", request));
  EXPECT_EQ(request.path, "/meshes/a b/x");
  EXPECT_EQ(*request.FindQuery("size"), "10");
  EXPECT_EQ(*request.FindQuery("name"), "a b&");
  EXPECT_EQ(*request.FindQuery("flag"), "");
  EXPECT_EQ(request.FindQuery("none"), nullptr);
  EXPECT_EQ(request.query.size(), 5u);
  ASSERT_TRUE(ParseTarget("http://host:80/x?y=1", request));
  EXPECT_EQ(request.path, "/x");
  ASSERT_TRUE(ParseTarget("*", request));
  EXPECT_FALSE(ParseTarget("/%zz", request));
  EXPECT_FALSE(ParseTarget("/%4", request));
  EXPECT_FALSE(ParseTarget("/%00", request));
  EXPECT_FALSE(ParseTarget("", request));
  EXPECT_FALSE(ParseTarget("x", request));
}

TEST(Url, Parts) {
  const auto url = ParseUrl("HTTPS://[::1]:5682/a/b?c=d#e");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->scheme, "https");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 5682);
  EXPECT_EQ(url->target, "/a/b?c=d");
  EXPECT_EQ(ParseUrl("http://localhost")->port, 80);
  EXPECT_EQ(ParseUrl("http://localhost?x=1")->target, "/?x=1");
  for (const char* wrong :
       {"localhost:80", "http://", "http://a:0", "http://a:99999", "http://a:b", "http://u:p@h",
        "http://::1/", "http://[::1/", "http://[::1]x/", "http://a b/"}) {
    const auto result = ParseUrl(wrong);
    ASSERT_FALSE(result.has_value()) << wrong;
    EXPECT_NE(result.error().message().find(wrong), std::string::npos);
  }
}

TEST(Url, RequestOfIt) {
  const auto request = MakeRequest("GET", "http://[::1]:5681/x?y=z");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->authority, "[::1]:5681");
  EXPECT_EQ(request->target, "/x?y=z");
  EXPECT_EQ(MakeRequest("GET", "https://h:443/")->authority, "h");
  EXPECT_FALSE(MakeRequest("GET", "ftp://h/").has_value());
}

TEST(Percent, RoundTrip) {
  const std::string all = "a/b c%\xff~";
  EXPECT_EQ(PercentEncode(all), "a%2Fb%20c%25%FF~");
  EXPECT_EQ(PercentDecode(PercentEncode(all)), all);
}

TEST(Responder, AnswersOnceAndByItself) {
  std::vector<int> answers;
  {
    const HttpResponder responder(
        [&](HttpResponse response) { answers.push_back(response.status); });
    const HttpResponder copy = responder;
    copy.Send({204, {}, {}});
    responder.Send({200, {}, {}});
  }
  EXPECT_EQ(answers, std::vector<int>{204});
  {
    const HttpResponder dropped([&](HttpResponse response) { answers.push_back(response.status); });
  }
  EXPECT_EQ(answers, (std::vector<int>{204, 500}));
}

TEST(Grpc, Timeout) {
  using std::chrono::milliseconds;
  EXPECT_EQ(ParseGrpcTimeout("20m"), milliseconds(20));
  EXPECT_EQ(ParseGrpcTimeout("1S"), milliseconds(1000));
  EXPECT_EQ(ParseGrpcTimeout("5000000u"), milliseconds(5000));
  EXPECT_TRUE(ParseGrpcTimeout("99999999H").has_value());
  for (const char* wrong : {"", "m", "1", "1x", "-1S", "123456789S", "1 S"}) {
    EXPECT_FALSE(ParseGrpcTimeout(wrong).has_value()) << wrong;
  }
  for (const auto time : {runtime::Duration(1), runtime::Duration(milliseconds(1500)),
                          runtime::Duration(std::chrono::hours(30))}) {
    const auto parsed = ParseGrpcTimeout(FormatGrpcTimeout(time));
    ASSERT_TRUE(parsed.has_value());
    EXPECT_GE(*parsed, time);
  }
}

TEST(Grpc, MessageEncoding) {
  const std::string text = "100 % \xe2\x82\xac\n";
  EXPECT_EQ(EncodeGrpcMessage(text), "100 %25 %E2%82%AC%0A");
  EXPECT_EQ(DecodeGrpcMessage(EncodeGrpcMessage(text)), text);
  EXPECT_EQ(DecodeGrpcMessage("50% and %zz %4"), "50% and %zz %4");
}

TEST(Grpc, ErrorsAndStatuses) {
  EXPECT_EQ(ToGrpcStatus(base::Denied("no")), (GrpcStatus{GrpcCode::kPermissionDenied, "no"}));
  const base::Error error = ToError({GrpcCode::kUnavailable, "gone"});
  EXPECT_EQ(error.code(), base::Code::kUnavailable);
  EXPECT_EQ(error.message(), "UNAVAILABLE: gone");
}

}  // namespace
}  // namespace kuma::net
