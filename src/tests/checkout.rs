//! The checkout script with real repositories.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use slipway::executor::checkout::{Checkout, CheckoutSpec, env, read_result, script};
use tempfile::TempDir;

/// A directory with a repository, and what a checkout of it needs.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.make_repository("origin");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Makes a repository with one commit on `main`.
    fn make_repository(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        self.git(name, &["init", "--quiet", "--initial-branch=main"]);
        self.commit(name, "one");
    }

    /// Git with no settings of the machine.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("HOME", self.dir.path()).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_CONFIG_GLOBAL");
        for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "somebody");
        }
        command
    }

    fn git(&self, repository: &str, arguments: &[&str]) -> String {
        let mut command = self.command("git");
        let output = command.arg("-C").arg(self.path(repository)).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit that writes `text` to `file`; its id.
    fn commit(&self, repository: &str, text: &str) -> String {
        fs::write(self.path(repository).join("file"), text).unwrap();
        self.git(repository, &["add", "file"]);
        self.git(repository, &["commit", "--quiet", "--message", text]);
        self.git(repository, &["rev-parse", "HEAD"])
    }

    fn spec(&self, repository: &str, branch: Option<&str>) -> CheckoutSpec {
        CheckoutSpec {
            repository: repository.to_owned(),
            branch: branch.map(str::to_owned),
            commit: None,
            mirror_dir: self.path("mirrors"),
            workspace: self.path("workspace"),
            result_file: self.path("result"),
        }
    }

    fn origin(&self) -> String {
        self.path("origin").display().to_string()
    }

    /// Runs the script as a step would, in the workspace.
    fn run(&self, spec: &CheckoutSpec, more_env: &[(&str, &str)]) -> Output {
        fs::create_dir_all(&spec.workspace).unwrap();
        let mut command = self.command("sh");
        command.args(["-e", "-c", script()]).current_dir(&spec.workspace);
        command.envs(env(spec)).envs(more_env.iter().copied()).output().unwrap()
    }

    fn checkout(&self, branch: Option<&str>) -> Checkout {
        let spec = self.spec(&self.origin(), branch);
        let output = self.run(&spec, &[]);
        assert!(output.status.success(), "{}", words(&output));
        read_result(&spec.result_file).unwrap()
    }

    fn file(&self) -> String {
        fs::read_to_string(self.path("workspace/file")).unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn assert_failed(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", words(output));
    assert!(words(output).contains(reason), "{}", words(output));
}

#[test]
fn a_branch_is_checked_out_at_its_commit_and_again_when_it_has_moved() {
    let bench = Bench::new();
    let first = bench.git("origin", &["rev-parse", "main"]);
    bench.git("origin", &["checkout", "--quiet", "-b", "feature/x"]);
    let second = bench.commit("origin", "two");

    let expected =
        |commit: &str, branch: &str| Checkout { commit: commit.to_owned(), branch: branch.to_owned() };
    assert_eq!(bench.checkout(Some("main")), expected(&first, "main"));
    assert_eq!(bench.file(), "one");
    assert_eq!(bench.git("workspace", &["status", "--porcelain", "--branch"]), "## main...origin/main");
    assert_eq!(bench.git("workspace", &["remote", "get-url", "origin"]), bench.origin());

    fs::write(bench.path("workspace/leftover"), "").unwrap();
    assert_eq!(bench.checkout(Some("feature/x")), expected(&second, "feature/x"));
    assert_eq!(bench.file(), "two");
    assert!(!bench.path("workspace/leftover").exists());
    assert_eq!(bench.git("workspace", &["branch", "--format=%(refname:short)"]), "feature/x");

    // Rewritten, not only moved forward.
    bench.git("origin", &["reset", "--quiet", "--hard", "main"]);
    let third = bench.commit("origin", "three");
    assert_eq!(bench.checkout(Some("feature/x")), expected(&third, "feature/x"));
    assert_eq!(bench.file(), "three");
}

#[test]
fn a_run_that_begins_again_builds_the_commit_that_it_built_before() {
    let bench = Bench::new();
    let first = bench.git("origin", &["rev-parse", "main"]);
    bench.checkout(Some("main"));
    bench.commit("origin", "two");
    let mut spec = bench.spec(&bench.origin(), Some("main"));
    spec.commit = Some(first.clone());
    assert!(bench.run(&spec, &[]).status.success());
    assert_eq!(bench.git("workspace", &["rev-parse", "HEAD"]), first);
    assert_eq!(bench.file(), "one");

    spec.commit = Some("0123456789012345678901234567890123456789".to_owned());
    assert_failed(&bench.run(&spec, &[]), "is no longer in");
}

#[test]
fn without_a_branch_the_default_one_is_taken() {
    let bench = Bench::new();
    bench.git("origin", &["checkout", "--quiet", "-b", "trunk"]);
    let commit = bench.commit("origin", "two");
    assert_eq!(bench.checkout(None), Checkout { commit, branch: "trunk".to_owned() });

    bench.git("origin", &["checkout", "--quiet", "--detach"]);
    let output = bench.run(&bench.spec(&bench.origin(), None), &[]);
    assert_failed(&output, "has no default branch");
}

#[test]
fn a_tag_will_do_as_a_branch() {
    let bench = Bench::new();
    let commit = bench.git("origin", &["rev-parse", "main"]);
    bench.git("origin", &["tag", "--annotate", "--message=x", "v1"]);
    bench.commit("origin", "two");
    assert_eq!(bench.checkout(Some("v1")), Checkout { commit, branch: "v1".to_owned() });
    assert_eq!(bench.file(), "one");
}

#[test]
fn a_branch_that_is_gone_is_named() {
    let bench = Bench::new();
    bench.git("origin", &["branch", "old"]);
    bench.checkout(Some("old"));
    bench.git("origin", &["branch", "--quiet", "-D", "old"]);
    let spec = bench.spec(&bench.origin(), Some("old"));
    let output = bench.run(&spec, &[]);
    assert_failed(&output, &format!("branch old does not exist in {}", bench.origin()));
    assert!(read_result(&spec.result_file).is_err(), "the result of the checkout before it is gone");

    // A directory may come in the place of a file.
    bench.git("origin", &["branch", "old/new"]);
    bench.checkout(Some("old/new"));
}

#[test]
fn names_are_never_options_or_shell() {
    let bench = Bench::new();
    let touch = format!("touch {}", bench.path("evil").display());
    for branch in [
        format!("--upload-pack={touch}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("x; {touch}"),
        format!("x'; {touch}; '"),
        "-".to_owned(),
        "main~0".to_owned(),
        "main:file".to_owned(),
        "../main".to_owned(),
    ] {
        let output = bench.run(&bench.spec(&bench.origin(), Some(&branch)), &[]);
        assert_eq!(output.status.code(), Some(1), "{branch}: {}", words(&output));
    }
    for repository in [
        format!("--upload-pack={touch}"),
        format!("ext::sh -c {touch}"),
        format!("ssh://-oProxyCommand={touch}/x"),
        format!("{}; {touch}", bench.origin()),
    ] {
        let output = bench.run(&bench.spec(&repository, Some("main")), &[]);
        assert_eq!(output.status.code(), Some(1), "{repository}: {}", words(&output));
    }
    assert!(!bench.path("evil").exists());
}

#[test]
fn submodules_come_with_the_commit() {
    let bench = Bench::new();
    bench.make_repository("part");
    let settings =
        ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../part", "parts/one"];
    bench.git("origin", &settings);
    bench.git("origin", &["commit", "--quiet", "--message", "part"]);
    bench.checkout(Some("main"));
    assert_eq!(fs::read_to_string(bench.path("workspace/parts/one/file")).unwrap(), "one");
}

#[test]
fn hooks_are_not_run() {
    let bench = Bench::new();
    let hooks = bench.path("hooks");
    fs::create_dir_all(&hooks).unwrap();
    let touch = format!("#!/bin/sh\ntouch {}\n", bench.path("evil").display());
    for name in ["post-checkout", "reference-transaction"] {
        fs::write(hooks.join(name), &touch).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(hooks.join(name), mode).unwrap();
    }
    fs::write(bench.path(".gitconfig"), format!("[core]\n\thooksPath = {}\n", hooks.display())).unwrap();
    bench.checkout(Some("main"));
    assert!(!bench.path("evil").exists());
}

/// Git's own tests use this variable: every repository counts as somebody else's.
#[test]
fn a_repository_of_another_user_is_read() {
    let bench = Bench::new();
    for repository in [bench.origin(), format!("file://{}", bench.origin())] {
        let spec = bench.spec(&repository, Some("main"));
        let output = bench.run(&spec, &[("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")]);
        assert!(output.status.success(), "{}", words(&output));
    }
}

#[test]
fn what_a_killed_checkout_left_behind_stops_nobody() {
    let bench = Bench::new();
    bench.checkout(Some("main"));
    let mirror = mirror_of(&bench);
    for name in
        ["packed-refs.lock", "HEAD.lock", "config.lock", "refs/heads/main.lock", "objects/pack/tmp_pack_x"]
    {
        fs::create_dir_all(mirror.join(name).parent().unwrap()).unwrap();
        fs::write(mirror.join(name), "").unwrap();
    }
    let locked = bench.path("workspace/read-only/inner");
    fs::create_dir_all(&locked).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o555);
    fs::set_permissions(locked.parent().unwrap(), mode).unwrap();

    let commit = bench.commit("origin", "two");
    assert_eq!(bench.checkout(Some("main")).commit, commit);
    assert!(!locked.exists());
    assert!(!mirror.join("objects/pack/tmp_pack_x").exists());
}

#[test]
fn a_workspace_survives_what_happens_to_its_branch() {
    let bench = Bench::new();
    bench.git("origin", &["checkout", "--quiet", "-b", "gone"]);
    bench.commit("origin", "two");
    bench.checkout(Some("gone"));
    fs::rename(bench.path("workspace"), bench.path("kept")).unwrap();

    // As many packs as as many checkouts would bring, and the branch gone and rewritten beside.
    let mirror = mirror_of(&bench);
    let origin = bench.origin();
    for index in 0..51 {
        bench.commit("origin", &format!("{index}"));
        let fetch = ["-c", "fetch.unpackLimit=1", "-c", "gc.auto=0", "fetch", "--quiet", &origin, "gone"];
        bench.git(mirror.to_str().unwrap(), &fetch);
    }
    bench.git("origin", &["checkout", "--quiet", "main"]);
    bench.git("origin", &["branch", "--quiet", "-D", "gone"]);
    bench.checkout(Some("main"));

    bench.git("kept", &["fsck", "--full"]);
    let packs = fs::read_dir(mirror.join("objects/pack")).unwrap();
    let packs = packs.filter(|entry| entry.as_ref().unwrap().path().extension() == Some("pack".as_ref()));
    assert!(packs.count() < 5);
}

#[test]
fn checkouts_side_by_side_do_not_meet() {
    let bench = Bench::new();
    let bench = &bench;
    thread::scope(|scope| {
        let checkouts: Vec<_> = (0..4)
            .map(|index| {
                scope.spawn(move || {
                    let mut spec = bench.spec(&bench.origin(), Some("main"));
                    spec.workspace = bench.path(&format!("workspace{index}"));
                    spec.result_file = bench.path(&format!("result{index}"));
                    let output = bench.run(&spec, &[]);
                    assert!(output.status.success(), "{}", words(&output));
                    read_result(&spec.result_file).unwrap()
                })
            })
            .collect();
        let results: Vec<Checkout> = checkouts.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(results.iter().all(|result| *result == results[0]));
    });
}

#[test]
fn a_server_that_wants_a_password_ends_it_at_once() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = format!("http://{}/x.git", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let answer = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let output = bench.run(&bench.spec(&repository, Some("main")), &[]);
    assert_failed(&output, "credential helper");
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let bench = Bench::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let repository = format!("http://{}/x.git", listener.local_addr().unwrap());
    let output = bench.run(&bench.spec(&repository, Some("main")), &[("GIT_HTTP_LOW_SPEED_TIME", "1")]);
    assert_failed(&output, &format!("git cannot read {repository}"));
    drop(listener);
}

fn mirror_of(bench: &Bench) -> PathBuf {
    let is_mirror = |path: &Path| path.join("objects").is_dir();
    let mut entries = fs::read_dir(bench.path("mirrors")).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| is_mirror(path)).unwrap()
}
