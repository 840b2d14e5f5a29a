//! Postfix as the server that our mail goes to.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use mail_parser::MessageParser;
use posthouse_tests::{app::App, dns::zone, wait::eventually};
use serde_json::json;

use super::run;

const HOST: &str = "mx.remote.test";
const DAEMONS: &str = "/usr/lib/postfix/sbin";

/// A Postfix with a directory, a configuration and a port of its own, for `bob@remote.test`.
struct Postfix {
    dir: tempfile::TempDir,
    master: Child,
}

impl Postfix {
    async fn start(place: std::net::SocketAddr) -> Self {
        let user: u32 = run("id", &["-u", "postfix"], "").await.trim().parse().unwrap();
        // Mail is delivered by another user than the one that the test runs as.
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let own = |name: &str| {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            chown(dir.path().join(name), Some(user), None).unwrap();
        };
        ["data", "mail"].into_iter().for_each(own);
        let queue = "active bounce corrupt defer deferred flush hold incoming saved trace private \
                     public maildrop";
        fs::create_dir_all(dir.path().join("queue/pid")).unwrap();
        queue.split(' ').for_each(|name| own(&format!("queue/{name}")));
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()]).unwrap();
        let config = dir.path().join("config");
        fs::create_dir(&config).unwrap();
        let pem = made.signing_key.serialize_pem() + &made.cert.pem();
        fs::write(config.join("tls.pem"), pem).unwrap();
        fs::write(config.join("main.cf"), main_cf(dir.path(), user)).unwrap();
        fs::write(config.join("master.cf"), master_cf(place)).unwrap();
        let master = Command::new(format!("{DAEMONS}/master"))
            .arg("-c")
            .arg(&config)
            .arg("-d")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postfix is needed (apt-get install postfix)");
        eventually("Postfix listens", async || {
            tokio::net::TcpStream::connect(place).await.ok().map(drop)
        })
        .await;
        Self { dir, master }
    }

    /// The messages that came in.
    fn mail(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir.path().join("mail/bob/new")) else {
            return Vec::new();
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut mail: Vec<_> =
            paths.map(|path: PathBuf| fs::read_to_string(path).unwrap()).collect();
        mail.sort_unstable();
        mail
    }
}

impl Drop for Postfix {
    /// `master` ends the processes that it has started.
    fn drop(&mut self) {
        let pid = self.master.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.master.wait().unwrap();
    }
}

fn main_cf(dir: &Path, user: u32) -> String {
    let dir = dir.display();
    format!(
        "compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
daemon_directory = {DAEMONS}
mail_owner = postfix
setgid_group = postdrop
myhostname = {HOST}
mydestination =
local_recipient_maps =
alias_maps =
inet_protocols = ipv4
mynetworks =
maillog_file = {dir}/data/log
maillog_file_prefixes = {dir}
smtpd_recipient_restrictions = reject_unauth_destination
virtual_mailbox_domains = remote.test
virtual_mailbox_base = {dir}/mail
virtual_mailbox_maps = inline:{{bob@remote.test=bob/}}
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{user}
smtpd_tls_chain_files = {dir}/config/tls.pem
smtpd_tls_security_level = may
"
    )
}

fn master_cf(place: std::net::SocketAddr) -> String {
    format!(
        "{place} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n 1000? 1 tlsmgr
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"
    )
}

#[tokio::test]
#[ignore = "needs root and Postfix (apt-get install postfix)"]
async fn postfix_takes_mail_over_tls_in_chunks() {
    let app = App::test().dns(zone("remote.test").mx(10, "mx")).start().await;
    let place = (app.add_host(HOST), app.delivery_port()).into();
    let postfix = Postfix::start(place).await;
    let alice = app.account("alice@example.test").await;
    // Longer than a chunk, with lines that begin with periods.
    let text = ".line\r\n..\r\n".repeat(20_000) + "the end";
    let message = json!({"to": ["bob@remote.test", "nobody@remote.test"], "subject": "Grüße",
                         "text": text});
    let id = alice.post_message(message).await.expect(202).id();
    eventually("one is delivered, the other refused", async || {
        (alice.statuses(&id).await == ["delivered", "failed"]).then_some(())
    })
    .await;
    let deliveries = alice.deliveries(&id).await;
    let attempt = &deliveries[0]["attempts"][0];
    assert_eq!(attempt["tls"]["version"], "TLSv1.3");
    assert_eq!(deliveries[1]["attempts"][0]["enhanced_code"], "5.1.1");
    // The next message comes over the same connection.
    let id = alice.send(&["bob@remote.test"], "second").await.id();
    alice.wait_for_status(&id, "delivered").await;
    let mail = eventually("Postfix has put both into the mailbox", async || {
        Some(postfix.mail()).filter(|mail| mail.len() == 2)
    });
    let mail = tokio::time::timeout(Duration::from_secs(20), mail).await.unwrap();
    let long = mail.iter().find(|mail| mail.contains("the end")).unwrap();
    assert!(long.contains(" with ESMTPS id "), "{:?}", long.lines().take(9).collect::<Vec<_>>());
    app.stop().await;
    let said = fs::read_to_string(postfix.dir.path().join("data/log")).unwrap();
    // As Postfix counts it.
    assert!(said.contains(" bdat=") && !said.contains(" data="), "{said}");
    let parsed = MessageParser::new().parse(long.as_bytes()).unwrap();
    let read = parsed.body_text(0).unwrap().replace("\r\n", "\n");
    assert!(read.trim_end() == text.replace("\r\n", "\n"), "the text arrives as it was");
}
