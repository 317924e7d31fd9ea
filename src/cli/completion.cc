// Completion scripts. Each asks `kumactl __complete WORDS` for the candidates, so they know what
// this kumactl knows and never grow old.

#include <ostream>

#include "base/format.h"
#include "cli/commands.h"

namespace kuma::cli {
namespace {

constexpr std::string_view kBash = R"(# bash completion for kumactl
_kumactl() {
    local cur words line last
    cur="${COMP_WORDS[COMP_CWORD]}"
    words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    # Bash cuts --flag=value into three words.
    if [[ "$cur" == "=" ]]; then
        words=("${COMP_WORDS[@]:1:COMP_CWORD-2}" "${COMP_WORDS[COMP_CWORD-1]}=")
    elif [[ "${COMP_WORDS[COMP_CWORD-1]}" == "=" ]]; then
        words=("${COMP_WORDS[@]:1:COMP_CWORD-3}" "${COMP_WORDS[COMP_CWORD-2]}=$cur")
    fi
    last="${words[${#words[@]}-1]}"
    COMPREPLY=()
    while IFS= read -r line; do
        line="${line%%$'\t'*}"
        [[ "$last" == *=* ]] && line="${line#*=}"
        [[ -n "$line" ]] && COMPREPLY+=("$line")
    done < <(kumactl __complete "${words[@]}" 2>/dev/null)
}
complete -o default -F _kumactl kumactl
)";

constexpr std::string_view kZsh = R"(#compdef kumactl
# zsh completion for kumactl
_kumactl() {
    local -a candidates
    local line
    while IFS= read -r line; do
        line="${line//:/\\:}"
        candidates+=("${line/$'\t'/:}")
    done < <(kumactl __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#candidates} )); then
        _describe 'kumactl' candidates
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_kumactl" ]; then
    _kumactl
else
    compdef _kumactl kumactl
fi
)";

constexpr std::string_view kFish = R"(# fish completion for kumactl
function __kumactl_complete
    set -l words (commandline -opc) (commandline -ct)
    kumactl __complete $words[2..-1] 2>/dev/null
end
complete -c kumactl -e
complete -c kumactl -a '(__kumactl_complete)'
)";

constexpr std::string_view kPowerShell = R"(# PowerShell completion for kumactl
Register-ArgumentCompleter -Native -CommandName kumactl -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($wordToComplete -eq '') { $words += '""' }
    kumactl __complete @words 2>$null | ForEach-Object {
        $name, $text = $_ -split "`t", 2
        if (-not $text) { $text = $name }
        [System.Management.Automation.CompletionResult]::new($name, $name, 'ParameterValue', $text)
    }
}
)";

struct Shell {
  std::string_view name;
  std::string_view script;
  std::string_view how;
};
constexpr Shell kShells[] = {
    {"bash", kBash, "  source <(kumactl completion bash)"},
    {"fish", kFish, "  kumactl completion fish > ~/.config/fish/completions/kumactl.fish"},
    {"powershell", kPowerShell, "  kumactl completion powershell | Out-String | Invoke-Expression"},
    {"zsh", kZsh, "  kumactl completion zsh > \"${fpath[1]}/_kumactl\""},
};

}  // namespace

void AddCompletion(Invocation& invocation, Command& root) {
  Command group{.name = "completion",
                .aliases = {},
                .arguments = "",
                .help = "Output shell completion code for bash, fish, powershell or zsh",
                .flags = {},
                .children = {},
                .run = nullptr};
  for (const Shell& shell : kShells) {
    group.children.push_back({.name = std::string(shell.name),
                              .aliases = {},
                              .arguments = "",
                              .help = base::Format("Generate {} completion", shell.name),
                              .flags = {},
                              .children = {},
                              .run = [&invocation, &shell](const Strings&) -> base::Status {
                                invocation.out() << shell.script;
                                return base::Ok{};
                              },
                              .first_argument = {},
                              .example = std::string(shell.how)});
  }
  root.children.push_back(std::move(group));
}

void PrintCandidates(Invocation& invocation, const Command& root, const Strings& words) {
  // PowerShell drops empty arguments; its script sends "" in quotes.
  Strings line = words;
  if (!line.empty() && line.back() == "\"\"") line.back().clear();
  for (const auto& [name, help] : CompleteCommandLine(root, line)) {
    invocation.out() << name;
    if (!help.empty()) invocation.out() << "\t" << help;
    invocation.out() << "\n";
  }
}

}  // namespace kuma::cli
