#include "app/self_check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <utility>

#include "app/first_start.h"
#include "app/server_settings.h"
#include "base/format.h"
#include "base/strings.h"
#include "identity/certificates.h"
#include "store/sqlite/inspect.h"

namespace kuma::app {
namespace {

using Level = Finding::Level;

// Free space of the work directory. A store grows by a few hundred bytes per resource; its log may
// reach 64 MB.
constexpr uint64_t kLittleSpace = 1ULL << 30;
constexpr uint64_t kNoSpace = 128ULL << 20;
constexpr auto kRenewal = std::chrono::hours(24 * 30);
constexpr auto kClockTolerance = std::chrono::minutes(1);

// ---- ports

// Inodes of sockets that listen on the port. Lines of /proc/net/tcp: "sl local:port remote:port
// state ... inode".
std::set<std::string> ListeningInodes(uint16_t port) {
  std::set<std::string> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    std::ifstream file(table);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      std::vector<std::string> parts = base::Split(line, ' ');
      std::erase(parts, "");
      if (parts.size() < 10 || parts[3] != "0A") continue;
      const size_t colon = parts[1].rfind(':');
      if (std::strtoul(parts[1].c_str() + colon + 1, nullptr, 16) == port) inodes.insert(parts[9]);
    }
  }
  return inodes;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  DIR* entries = opendir(folder.c_str());
  if (entries == nullptr) return names;
  while (const dirent* entry = readdir(entries)) names.emplace_back(entry->d_name);
  closedir(entries);
  return names;
}

std::string LinkTarget(const std::string& path) {
  char text[512];
  const ssize_t size = readlink(path.c_str(), text, sizeof text);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : std::string();
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// Empty: this process could listen there.
std::string WhyNotListen(const std::string& address, uint16_t port) {
  sockaddr_in6 six{};
  sockaddr_in four{};
  const sockaddr* at = nullptr;
  socklen_t size = 0;
  if (address.empty() || address.find(':') != std::string::npos) {
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    if (!address.empty() && inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1)
      return "not an IP address";
    at = reinterpret_cast<const sockaddr*>(&six);
    size = sizeof six;
  } else {
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    if (inet_pton(AF_INET, address.c_str(), &four.sin_addr) != 1) return "not an IP address";
    at = reinterpret_cast<const sockaddr*>(&four);
    size = sizeof four;
  }
  const int fd = socket(at->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  // Without IPv6 the server listens on IPv4 only.
  if (fd < 0)
    return errno == EAFNOSUPPORT && address.empty() ? WhyNotListen("0.0.0.0", port)
                                                    : std::strerror(errno);
  const int on = 1;
  const int off = 0;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at->sa_family == AF_INET6 && address.empty())
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  const bool bound = bind(fd, at, size) == 0 && listen(fd, 1) == 0;
  const int why = errno;
  close(fd);
  return bound ? std::string() : std::strerror(why);
}

Finding CheckPort(const Listening& port) {
  const std::string what = base::Format("port {} ({})", port.port, port.name);
  if (port.port == 0) return {Level::kOk, what, "a free one is chosen at start", ""};
  const std::string why = WhyNotListen(port.address, port.port);
  if (why.empty()) return {Level::kOk, what, "free", ""};
  if (why != std::strerror(EADDRINUSE)) {
    return {Level::kFail, what, base::Format("cannot be listened on: {}", why),
            base::Format("choose another port or address: {} ({})", port.key, port.variable)};
  }
  const auto holder = HolderOfPort(port.port);
  if (holder && holder->program == "kuma-cp")
    return {Level::kOk, what,
            base::Format("in use by the control plane that runs (process {})", holder->pid), ""};
  const std::string by = !holder || holder->pid == 0
                             ? std::string("another program")
                             : base::Format("{} (process {})", holder->program, holder->pid);
  return {
      Level::kFail, what, "in use by " + by,
      base::Format("end that program, or choose another port: {} ({})", port.key, port.variable)};
}

// ---- files

std::string Megabytes(uint64_t bytes) {
  return bytes >= 10ULL << 30 ? base::Format("{} GB", bytes >> 30)
                              : base::Format("{} MB", bytes >> 20);
}

// The folder, or the nearest of its parents that exists.
std::string ExistingPart(std::string folder) {
  while (folder.size() > 1 && access(folder.c_str(), F_OK) != 0) {
    const size_t slash = folder.rfind('/');
    folder = slash == std::string::npos ? "." : slash == 0 ? "/" : folder.substr(0, slash);
  }
  return folder;
}

void CheckFolder(const std::string& what, const std::string& folder, const std::string& key,
                 std::vector<Finding>& findings) {
  const std::string there = ExistingPart(folder);
  struct stat status = {};
  if (stat(there.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    findings.push_back({Level::kFail, what, base::Format("{} is not a folder", there),
                        "choose another one: " + key});
    return;
  }
  if (access(there.c_str(), W_OK | X_OK) != 0) {
    findings.push_back({Level::kFail, what,
                        base::Format("{} cannot be written by this user", there),
                        base::Format("change its owner, or choose another one: {}", key)});
    return;
  }
  struct statvfs space = {};
  if (statvfs(there.c_str(), &space) != 0) {
    findings.push_back(
        {Level::kWarn, what,
         base::Format("free space of {} is unknown: {}", there, std::strerror(errno)), ""});
    return;
  }
  const uint64_t free = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
  const bool no_names = space.f_files != 0 && space.f_favail == 0;
  const Level level = free < kNoSpace || no_names ? Level::kFail
                      : free < kLittleSpace       ? Level::kWarn
                                                  : Level::kOk;
  findings.push_back(
      {level, what,
       base::Format("{}{}, {} free{}", folder, there == folder ? "" : " (made at start)",
                    Megabytes(free), no_names ? ", but no inode" : ""),
       level == Level::kOk ? "" : "free some space, or choose another disk: " + key});
}

// ---- certificates

std::string Day(model::WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

Finding CheckCertificate(const std::string& what, const TlsFiles& files, model::WallTime now) {
  if (files.self_signed && access(files.cert.c_str(), F_OK) != 0)
    return {Level::kOk, what, base::Format("{} is made at start", files.cert), ""};
  net::ServerTlsOptions options;
  options.certificate.cert_file = files.cert;
  options.certificate.key_file = files.key;
  if (const base::Status usable = net::CheckTls(options); !usable.has_value()) {
    return {Level::kFail, what, usable.error().message(),
            files.self_signed ? base::Format("remove {} and {}: they are made anew at start",
                                             files.cert, files.key)
                              : "name a certificate and its key in PEM: " + files.key_of_cert};
  }
  const auto text = ReadFile(files.cert);
  if (!text.has_value()) return {Level::kFail, what, text.error().message(), ""};
  const auto validity = identity::ValidityOf(*text);
  if (!validity.has_value()) return {Level::kFail, what, validity.error().message(), ""};
  const std::string renew =
      files.self_signed
          ? base::Format(
                "remove {} and {} and start anew; give proxies the new file (--ca-cert-file)",
                files.cert, files.key)
          : base::Format(
                "put a new certificate in its place: it is taken within seconds, without a "
                "restart");
  if (validity->not_after <= now)
    return {Level::kFail, what,
            base::Format("{} expired on {}", files.cert, Day(validity->not_after)), renew};
  if (validity->not_before > now) {
    return {Level::kFail, what,
            base::Format("{} is valid from {} only", files.cert, Day(validity->not_before)),
            "set the clock of this host, or wait"};
  }
  const bool soon = validity->not_after <= now + kRenewal;
  return {soon ? Level::kWarn : Level::kOk, what,
          base::Format("{} is valid until {}", files.cert, Day(validity->not_after)),
          soon ? renew : ""};
}

// ---- clock

// A clock that is wrong makes tokens and certificates invalid.
Finding CheckClock(const std::vector<std::string>& files, model::WallTime now) {
  for (const std::string& path : files) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0) continue;
    const auto written = std::chrono::system_clock::from_time_t(status.st_mtime);
    if (written > now + kClockTolerance) {
      return {Level::kFail, "clock",
              base::Format("{} was written in the future, on {}", path, Day(written)),
              "set the clock of this host: tokens and certificates depend on it"};
    }
  }
  timex state{};
  const int synchronised = adjtimex(&state);
  if (synchronised == -1) return {Level::kOk, "clock", "plausible", ""};
  if (synchronised == TIME_ERROR) {
    return {Level::kWarn, "clock", "the kernel says that it is not synchronised",
            "run chrony or systemd-timesyncd: tokens and certificates depend on the clock"};
  }
  return {Level::kOk, "clock", "synchronised", ""};
}

// ---- store

Finding CheckStore(const Config& config, const std::string& path) {
  const std::string type = config.String("store.type");
  if (type == "memory") {
    return {Level::kWarn, "store", "memory: everything is lost at a restart",
            "store.type: sqlite (KUMA_STORE_TYPE)"};
  }
  if (type != "sqlite") return {Level::kOk, "store", type + ": not looked at", ""};
  const auto report = store::InspectSqlite(path);
  if (!report.has_value()) {
    if (report.error().code() == base::Code::kNotFound)
      return {Level::kOk, "store", base::Format("{} is made at start", path), ""};
    return {Level::kFail, "store", report.error().message(), "the message says it"};
  }
  if (report->schema_version > report->newest_schema_version) {
    return {Level::kFail, "store",
            base::Format("{} was written by a newer version (schema {}, this one knows {})", path,
                         report->schema_version, report->newest_schema_version),
            "start that version, or restore a backup of before the upgrade"};
  }
  return {Level::kOk, "store",
          base::Format(
              "{}: whole; {} resources at revision {}, {}{}", path, report->resources,
              report->revision.value, Megabytes(report->bytes),
              report->schema_version < report->newest_schema_version ? "; migrated at start" : ""),
          ""};
}

std::string_view NameOf(Level level) {
  switch (level) {
    case Level::kOk: return "ok";
    case Level::kWarn: return "warn";
    case Level::kFail: return "fail";
  }
  return "?";
}

}  // namespace

std::optional<PortHolder> HolderOfPort(uint16_t port) {
  const std::set<std::string> inodes = ListeningInodes(port);
  if (inodes.empty()) return std::nullopt;
  for (const std::string& pid : NamesIn("/proc")) {
    if (!base::ParseInt(pid)) continue;
    const std::string process = "/proc/" + pid;
    for (const std::string& fd : NamesIn(process + "/fd")) {
      const std::string target = LinkTarget(process + "/fd/" + fd);
      if (target.starts_with("socket:[") && inodes.contains(target.substr(8, target.size() - 9)))
        return PortHolder{static_cast<int>(*base::ParseInt(pid)), FirstLine(process + "/comm")};
    }
  }
  return PortHolder{};
}

std::vector<Finding> CheckSelf(const base::Result<Config>& loaded, const std::string& config_file) {
  std::vector<Finding> findings;
  const std::string source =
      config_file.empty() ? "defaults and environment variables" : config_file;
  if (!loaded.has_value()) {
    findings.push_back({Level::kFail, "configuration",
                        base::Format("{}: {}", source, loaded.error().message()),
                        "mend what is named; nothing else can be checked before"});
    return findings;
  }
  const Config& config = *loaded;
  if (const base::Status supported = CheckSupported(config); !supported.has_value()) {
    findings.push_back({Level::kFail, "configuration",
                        base::Format("{}: {}", source, supported.error().message()),
                        "choose what is available"});
  } else if (!config.unknown_keys().empty()) {
    findings.push_back({Level::kWarn, "configuration",
                        base::Format("{}: unknown keys, ignored: {}", source,
                                     base::Join(config.unknown_keys(), ", ")),
                        "take them out, or correct their spelling"});
  } else {
    findings.push_back({Level::kOk, "configuration", source, ""});
  }
  for (const Listening& port : PortsOf(config)) findings.push_back(CheckPort(port));

  const std::string folder = WorkFolderOf(config);
  CheckFolder("work directory", folder, "general.workDir (KUMA_GENERAL_WORK_DIR)", findings);
  const std::string database = DatabaseOf(config, folder);
  if (const size_t slash = database.rfind('/'); slash != std::string::npos &&
                                                database.substr(0, slash) != folder &&
                                                config.String("store.type") == "sqlite") {
    CheckFolder("store directory", database.substr(0, std::max<size_t>(slash, 1)),
                "store.sqlite.path (KUMA_STORE_SQLITE_PATH)", findings);
  }

  const model::WallTime now = std::chrono::system_clock::now();
  std::map<std::string, std::pair<TlsFiles, std::string>>
      certificates;  // one file may serve several ports
  for (const Listening& port : PortsOf(config)) {
    if (!port.tls) continue;
    auto& [files, names] = certificates[port.tls->cert];
    files = *port.tls;
    names += (names.empty() ? "" : ", ") + std::string(port.name);
  }
  for (const auto& [file, use] : certificates)
    findings.push_back(
        CheckCertificate(base::Format("certificate ({})", use.second), use.first, now));

  findings.push_back(CheckClock({database, database + "-wal", folder + "/kuma-cp.crt"}, now));
  findings.push_back(CheckStore(config, database));
  return findings;
}

Finding::Level WorstOf(const std::vector<Finding>& findings) {
  Level worst = Level::kOk;
  for (const Finding& finding : findings) worst = std::max(worst, finding.level);
  return worst;
}

std::string ToText(const std::vector<Finding>& findings) {
  size_t width = 0;
  for (const Finding& finding : findings) width = std::max(width, finding.what.size());
  std::string text;
  for (const Finding& finding : findings) {
    text += base::Format("{:<4}  {:<{}}  {}\n", NameOf(finding.level), finding.what, width,
                         finding.message);
    if (!finding.way_out.empty())
      text += base::Format("      {:<{}}  -> {}\n", "", width, finding.way_out);
  }
  return text;
}

model::Value ToJsonValue(const std::vector<Finding>& findings) {
  model::Array checks;
  for (const Finding& finding : findings) {
    model::Object check{
        {"level", NameOf(finding.level)}, {"check", finding.what}, {"message", finding.message}};
    if (!finding.way_out.empty()) check.Set("wayOut", finding.way_out);
    checks.emplace_back(std::move(check));
  }
  return model::Value(
      model::Object{{"result", NameOf(WorstOf(findings))}, {"checks", std::move(checks)}});
}

}  // namespace kuma::app
