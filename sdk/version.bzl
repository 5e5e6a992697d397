"""The version of the SDK, in the sense of semver.org; docs/compatibility.md says what it promises."""

SDK_VERSION = "1.3.0"
