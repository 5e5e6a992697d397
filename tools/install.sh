#!/usr/bin/env bash
# ./bazelw run //:install -- PREFIX            installs below PREFIX, which is made
# ./bazelw run //:install -- --tar FOLDER      makes FOLDER/mase-VERSION.tar.gz of an installation
# ./bazelw build //:sdk                        makes mase-sdk-VERSION.tar.gz: an installation with all that plugins need
#
# An installation needs no Bazel, runs from any folder and may be moved as a whole. share/mase/packages names the
# Debian packages that it loads.
set -euo pipefail
here=$PWD  # The runfiles: `bazel run` starts programs there.
caller=${BUILD_WORKING_DIRECTORY:-$PWD}

install_below() {
  local prefix=$1 share=$1/share/mase plugins=$1/lib/mase/plugins
  mkdir -p "$prefix/bin" "$share/testdata" "$plugins" "$prefix/share/man/man1"
  mkdir -p "$prefix/share/bash-completion/completions" "$prefix/share/zsh/site-functions"
  install -m 755 "$here/mase/ch" "$prefix/bin/ch"
  predict "$prefix"
  for plugin in "$here"/plugins/*/*.so; do
    local name
    name=$(basename "$plugin" .so)
    install -D -m 644 "$plugin" "$plugins/$name/$name.so"
  done
  install -m 644 "$here/plugins/index.textproto" "$here/plugins/options.descriptors" "$plugins"
  # Programs look for plugins/... and testdata/... below share/mase. A link a set: Bazel follows no link to a folder above.
  ln -sfn ../../lib/mase/plugins "$share/plugins"
  for set in "$here"/testdata/*/; do
    set=$(basename "$set")
    mkdir -p "$share/$set"
    find -L "$here/testdata/$set" -maxdepth 1 -type f -exec install -m 644 {} "$share/$set" \;
    ln -sfn "../$set" "$share/testdata/$set"
  done
  git -C "${BUILD_WORKSPACE_DIRECTORY:-.}" rev-parse HEAD > "$share/revision" 2> /dev/null || true
  packages > "$share/packages"

  env -u RUNFILES_DIR -u TEST_SRCDIR "$prefix/bin/ch" completion bash > "$prefix/share/bash-completion/completions/ch"
  env -u RUNFILES_DIR -u TEST_SRCDIR "$prefix/bin/ch" completion zsh > "$prefix/share/zsh/site-functions/_ch"
  manual "$prefix" > "$prefix/share/man/man1/ch.1"
}

# The library for programs that use a trained net, its header and examples (docs/predict.md).
predict() {
  local version
  version=$("$here/mase/ch" version | sed -nE '1s/mase +//p')
  mkdir -p "$1/lib/pkgconfig" "$1/include" "$1/share/mase/examples"
  install -m 644 "$here/mase/predict/libmase_predict.so" "$1/lib/libmase_predict.so"
  strip --strip-unneeded "$1/lib/libmase_predict.so" 2> /dev/null || true
  install -m 644 "$here/mase/predict/mase_predict.h" "$1/include/mase_predict.h"
  install -m 644 "$here"/examples/predict.* "$1/share/mase/examples"
  cat > "$1/lib/pkgconfig/mase_predict.pc" << EOF
prefix=\${pcfiledir}/../..
Name: mase_predict
Description: trained nets as functions from rows to results
Version: ${version%%[!0-9.]*}
Cflags: -I\${prefix}/include
Libs: -L\${prefix}/lib -Wl,-rpath,\${prefix}/lib -lmase_predict
EOF
}

# The shared libraries that ch is linked with, and those of databases, which SOCI opens by their names when a study does.
libraries() {
  ldd "$here/mase/ch" | sed -nE 's/.* => (\/[^ ]+).*/\1/p' | while read -r library; do
    echo "$library"
    case $library in
      */libsoci_core.so*) for database in sqlite3 postgresql; do echo "${library/_core/_$database}"; done ;;
    esac
  done
}

# Their packages.
packages() {
  libraries | while read -r library; do
    dpkg -S "$(readlink -f "$library")" 2> /dev/null || dpkg -S "$(basename "$(readlink -f "$library")")" 2> /dev/null || true
  done | sed -E 's/:.*//' | sort -u
}

manual() {
  echo '.TH CH 1'
  echo '.SH NAME'
  echo 'ch \- trains small nets, quantizes them, measures the cost'
  echo '.SH DESCRIPTION'
  echo '.nf'
  echo '.in 0' # The text is as wide as a terminal.
  env -u BUILD_WORKSPACE_DIRECTORY "$1/bin/ch" help | sed -e 's/\\/\\\\/g' -e "s/^['.]/\\\\\&&/"
  echo '.fi'
}

# What plugins are written against (docs/plugins.md), beside the installation below $1: headers, .proto files, the files
# of CMake, pkg-config and Bazel, goldens, examples.
sdk() {
  local version=$2 file
  mkdir -p "$1/lib/cmake/mase-sdk" "$1/lib/pkgconfig" "$1/bazel" "$1/share/mase/examples"
  (cd "$here" && find -L mase proto \( -name '*.h' -o -name '*.proto' \) -not -path 'mase/predict/*') | while read -r file; do
    install -D -m 644 "$here/$file" "$1/include/$file"
  done
  for file in "$here"/sdk/package/cmake/*.cmake; do
    sed "s/@VERSION@/$version/" "$file" > "$1/lib/cmake/mase-sdk/$(basename "$file")"
  done
  sed "s/@VERSION@/$version/" "$here/sdk/package/mase-sdk.pc" > "$1/lib/pkgconfig/mase-sdk.pc"
  install -m 644 "$here/sdk/package/bazel/plugin.bzl" "$1/bazel/plugin.bzl"
  install -m 755 "$here/sdk/package/bazel/check.sh" "$1/bazel/check.sh"
  install -m 644 "$here/sdk/package/bazel/BUILD.in" "$1/BUILD.bazel"
  echo 'workspace(name = "mase_sdk")' > "$1/WORKSPACE"
  # Repositories that Debian's Bazel asks for by name.
  mkdir -p "$1/bazel/debian"
  cp -rL "$here/../rules_cc" "$here/../remote_coverage_tools" "$1/bazel/debian"
  mkdir -p "$1/share/mase/sdk"
  cp -rL "$here/sdk/templates" "$1/share/mase/sdk/templates"
  cp -rL "$here/examples/plugins" "$1/share/mase/examples/plugins"
  mkdir -p "$1/share/mase/goldens"
  find -L "$here/testdata/formats" -maxdepth 1 -type f -exec install -m 644 {} "$1/share/mase/goldens" \;
  rm -rf "$1/share/mase/formats" "$1/share/mase/testdata/formats"
}

# $1, a folder, as the archive $2, the same bytes of the same files.
pack() {
  tar --sort=name --owner=0 --group=0 --mtime='2020-01-01 00:00Z' -C "$(dirname "$1")" -cf - "$(basename "$1")" | gzip -n > "$2"
}

case ${1:-} in
  --tar)
    folder=$(cd "$caller" && realpath -m "${2:?--tar needs a folder}")
    version=$("$here/mase/ch" version | sed -nE '1s/mase +//p')
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    install_below "$work/mase-$version"
    mkdir -p "$folder"
    pack "$work/mase-$version" "$folder/mase-$version.tar.gz"
    echo "$folder/mase-$version.tar.gz"
    ;;
  --sdk)
    archive=$(cd "$caller" && realpath -m "${2:?--sdk needs a file}")
    version=$(basename "$archive" .tar.gz)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    install_below "$work/$version"
    strip --strip-debug "$work/$version/bin/ch" 2> /dev/null || true
    sdk "$work/$version" "${version#mase-sdk-}"
    pack "$work/$version" "$archive"
    ;;
  '' | -*)
    sed -n '2,3s/^# //p' "$0" >&2
    exit 2
    ;;
  *)
    prefix=$(cd "$caller" && realpath -m "$1")
    install_below "$prefix"
    echo "installed below $prefix; it needs the packages"
    sed 's/^/  /' "$prefix/share/mase/packages"
    echo "try: $prefix/bin/ch transform --config=$prefix/share/mase/configs/jsc_tiny_integer.toml"
    ;;
esac
