#pragma once

// The commands of kumactl. Each function adds one command to a group.

#include <memory>
#include <string>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/config_file.h"
#include "cli/control_plane.h"
#include "cli/kumactl.h"

namespace kuma::cli {

// One call of kumactl: the global flags, and what the commands share. Confined to one thread;
// outlives the command tree that refers to it.
class Invocation {
 public:
  explicit Invocation(Environment& environment) : environment_(environment) {}

  // Targets of the global flags.
  std::string api_timeout = "1m0s";
  std::string config_file;
  std::string target;  // --context
  std::string log_level = "off";
  bool no_config = false;

  int exit_code = 0;  // not 0: what the call ends with instead of 1

  Environment& environment() { return environment_; }
  std::ostream& out() { return environment_.out; }
  std::ostream& err() { return environment_.err; }

  // The configuration file. At the default place it is made if there is none; a file that was named
  // must be there, unless `or_default`.
  base::Result<ConfigFile> LoadConfig(bool or_default = false);
  base::Status SaveConfig(const ConfigFile& config);

  base::Result<runtime::Duration> Timeout() const;
  // The control plane that is meant. Warns about a server of another version, once.
  base::Result<ControlPlane*> Server();
  // The same without asking the server anything.
  base::Result<ControlPlane*> ServerUnchecked();

 private:
  std::string ConfigPath() const;
  void CheckVersion();

  Environment& environment_;
  std::unique_ptr<ControlPlane> server_;
  bool checked_ = false;
};

void AddApply(Invocation& invocation, Command& root);
void AddConfig(Invocation& invocation, Command& root);
void AddCompletion(Invocation& invocation, Command& root);
void AddDelete(Invocation& invocation, Command& root);
void AddExport(Invocation& invocation, Command& root);
void AddGenerate(Invocation& invocation, Command& root);
void AddGet(Invocation& invocation, Command& root);
void AddInspect(Invocation& invocation, Command& root);
void AddHistory(Invocation& invocation, Command& root);  // history, diff, rollback
void AddVersion(Invocation& invocation, Command& root);

// inspect dataplane NAME --timeline
base::Status PrintTimeline(Invocation& invocation, const std::string& mesh, const std::string& name,
                           const std::string& output);

// What the scripts of `kumactl completion` call with the words of an unfinished command line:
// prints one candidate a line, a tab and its description behind.
void PrintCandidates(Invocation& invocation, const Command& root, const Strings& words);

}  // namespace kuma::cli
