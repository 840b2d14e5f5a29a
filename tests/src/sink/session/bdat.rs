//! BDAT (RFC 3030) from the server's side.

use super::{Session, Step};
use crate::sink::script::Stage;

impl Session {
    /// `BDAT size [LAST]` and so many octets, which come off the wire whatever is said to them.
    pub(super) async fn bdat(&mut self, argument: &str) -> Step {
        let (size, last) = argument.split_once(' ').unwrap_or((argument, ""));
        let Ok(size) = size.parse::<usize>() else {
            self.say("501 5.5.4 How many?");
            return Ok(());
        };
        while self.input.len() < size {
            self.fill().await?;
        }
        let chunk = self.input.split_to(size);
        self.shared.note("C", &format!("({size} octets)"));
        if self.message.rcpt_to.is_empty() {
            self.say("503 5.5.1 RCPT first");
            return Ok(());
        }
        self.message.data.extend_from_slice(&chunk);
        let usual = if last.is_empty() { "250 2.0.0 Go on" } else { "" };
        if !self.answer_positive(Stage::Chunk, argument, usual).await? {
            // Until RSET.
            self.message.rcpt_to.clear();
            self.message.data.clear();
        } else if last == "LAST" {
            let octets = std::mem::take(&mut self.message.data);
            let length = octets.len();
            return self.conclude(octets, length, "250 2.0.0 Taken").await;
        }
        Ok(())
    }
}
