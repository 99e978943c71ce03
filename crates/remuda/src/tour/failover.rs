//! The heart of the tour: a stream whose node is killed, and that goes on word for word.

use remuda_types::{NodeKey, Time};

use super::Tour;
use crate::client::Since;
use crate::clock;
use crate::up::{self, Piece, Question, SEATS};

const TEXT: &str = "Tell me a story of a rider who changes horses on a long road.";
const SEED: u64 = 7;
const MAX_TOKENS: u32 = 160;

/// What happened to the stream.
#[derive(Clone, Debug)]
pub(super) struct Failover {
    /// The node that was killed.
    pub(super) node: NodeKey,
    /// Its seat.
    pub(super) seat: usize,
    /// Where in the feed of events that was.
    pub(super) since: Since,
    /// When it was killed.
    pub(super) killed: Time,
    /// When the next piece of text came.
    pub(super) resumed: Time,
}

/// Text so far, and when its pieces came.
#[derive(Debug, Default)]
struct Read {
    text: String,
    at: Vec<Time>,
}

impl Tour<'_> {
    /// One answer without trouble, then the same with its node killed in the middle.
    pub(super) async fn kill_in_mid_stream(&mut self) -> anyhow::Result<Failover> {
        self.story
            .begin("A chat completion streams, for comparison without trouble");
        let model = self.model.to_owned();
        let question = Question {
            model: &model,
            text: TEXT,
            seed: SEED,
            max_tokens: MAX_TOKENS,
        };
        let expected = self.read_whole(&question).await?;
        let pieces = expected.at.len();
        self.story.say(&format!(
            "{pieces} pieces, {} bytes of text",
            expected.text.len()
        ));
        anyhow::ensure!(
            pieces >= 12,
            "the answer is too short to be broken in the middle"
        );

        self.story
            .begin("The same again; in mid-stream its node is killed with kill -9");
        let (read, failover) = self.read_with_kill(&question, pieces / 3).await?;
        anyhow::ensure!(
            read.text == expected.text,
            "the stream is not what it would have been: it reads {:?}",
            read.text,
        );
        self.story
            .say("the stream went on to its end, word for word as without the kill");
        Ok(failover)
    }

    async fn read_whole(&self, question: &Question<'_>) -> anyhow::Result<Read> {
        let wheel = self.story.wheel("the answer streams");
        let mut answer = self.door.ask(question).await?;
        let mut read = Read::default();
        while read.take(answer.next().await?)?.is_some() {}
        wheel.finish_and_clear();
        Ok(read)
    }

    async fn read_with_kill(
        &mut self,
        question: &Question<'_>,
        kill_at: usize,
    ) -> anyhow::Result<(Read, Failover)> {
        let mut answer = self.door.ask(question).await?;
        let mut read = Read::default();
        self.story.stream("    ");
        while read.at.len() < kill_at {
            match read.take(answer.next().await?)? {
                Some(piece) => self.story.stream(&piece),
                None => anyhow::bail!("the stream ended before its node was killed"),
            }
        }
        let seat = self.local.serving().await?;
        let node = self.local.node_up(seat).await?;
        let since = up::bookmark(&self.local.client).await?;
        let killed = clock::now();
        let end = match self.local.node(seat) {
            Some(process) => process.kill().await,
            None => anyhow::bail!("the node at {} was not started", SEATS[seat].site),
        };
        let made = clock::now();
        self.story
            .stream(&format!("\n--- node-{} {end} ---\n", SEATS[seat].site));
        while let Some(piece) = read.take(answer.next().await?)? {
            self.story.stream(&piece);
        }
        self.story.say("");
        self.story.say("");
        let resumed = up::silence_after(killed, made, &read.at)
            .ok_or_else(|| anyhow::anyhow!("nothing came after the kill"))?
            .end;
        Ok((
            read,
            Failover {
                node,
                seat,
                since,
                killed,
                resumed,
            },
        ))
    }
}

impl Read {
    /// The piece's text, if the stream goes on.
    fn take(&mut self, piece: Option<Piece>) -> anyhow::Result<Option<String>> {
        match piece {
            Some(Piece::Text(text, at)) => {
                self.text.push_str(&text);
                self.at.push(at);
                Ok(Some(text))
            }
            Some(Piece::End(_)) => Ok(None),
            None => anyhow::bail!("the stream broke off after {:?}", self.text),
        }
    }
}
