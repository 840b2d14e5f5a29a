//! AUTH (RFC 4954) from the server's side.

use std::io;

use super::{Session, Step};
use crate::sink::{
    scram::{Binding, Scram},
    script::Stage,
    wire::{decode, plain},
};

impl Session {
    pub(super) async fn auth(&mut self, argument: &str) -> Step {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let given = match mechanism {
            "PLAIN" => {
                let response = self.initial(initial).await?;
                plain(&response)
            }
            "EXTERNAL" => {
                let shown = self.client_certificate && initial == "=";
                self.shared.script.login.clone().filter(|_| shown)
            }
            "LOGIN" => {
                self.say("334 VXNlcm5hbWU6");
                let username = self.line().await?;
                self.say("334 UGFzc3dvcmQ6");
                let password = self.line().await?;
                decode(&username).zip(decode(&password))
            }
            scram if scram.starts_with("SCRAM-") => self.scram(scram, initial).await?,
            _ => None,
        };
        let right = given.is_some() && given == self.shared.script.login;
        let usual = if right { "235 2.7.0 Welcome" } else { "535 5.7.8 Wrong credentials" };
        if self.answer_positive(Stage::Auth, "", usual).await? {
            self.message.login = given.map(|(username, _)| username);
        }
        Ok(())
    }

    async fn initial(&mut self, initial: &str) -> io::Result<String> {
        if !initial.is_empty() {
            return Ok(initial.to_owned());
        }
        self.say("334 ");
        let line = self.line().await?;
        self.shared.note("C", &line);
        Ok(line)
    }

    /// RFC 5802 §5; the credentials of the script when the client proved that it has them.
    async fn scram(
        &mut self,
        mechanism: &str,
        first: &str,
    ) -> io::Result<Option<(String, String)>> {
        let login = self.shared.script.login.clone();
        let offers = self.shared.script.capabilities.iter();
        let offers =
            offers.filter(|line| line.starts_with("AUTH ")).any(|line| line.contains("-PLUS"));
        let bound = mechanism.ends_with("-PLUS");
        let binding = match (self.exported, bound) {
            (Some(exported), true) => Binding::Exporter(exported.to_vec()),
            (None, true) => return Ok(None),
            (_, false) => Binding::None { offered: offers },
        };
        let sha1 = mechanism.contains("SHA-1");
        let exchange =
            login.and_then(|login| Some((Scram::new(sha1, binding, first, &login.1)?, login)));
        let Some((scram, login)) = exchange else {
            return Ok(None);
        };
        self.say(&format!("334 {}", scram.challenge()));
        let proof = self.line().await?;
        let Some(signature) = scram.verify(&proof) else {
            return Ok(None);
        };
        let signature = if self.shared.script.forges { "dj1BQUFB".to_owned() } else { signature };
        self.say(&format!("334 {signature}"));
        let empty = self.line().await?;
        Ok((empty.is_empty() && scram.username == login.0).then_some(login))
    }
}
