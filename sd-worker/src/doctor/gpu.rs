//! Checks the GPUs, as the driver lists them.

use runpod_sdk::fitness::{FitnessError, GIB, GpuFacts};

use super::finding::{Finding, Section, gib};

/// A picture of 512×512 with SD 1.5 takes 4 to 6 GB (`docs/protocol/request-flow.md`, step 5).
const SMALL: u64 = 6 * GIB;

pub(super) fn look(seen: Result<Vec<GpuFacts>, FitnessError>) -> Section {
    let findings = match seen {
        Err(error) => vec![Finding::failure(
            error.to_string(),
            "start the worker anew, on another host if it stays like this; the container needs NVIDIA's runtime",
        )],
        Ok(cards) if cards.is_empty() => vec![Finding::warning(
            "no GPU is to be seen from here: the WebUI renders on the processor, if at all",
            "choose a GPU in the endpoint's settings; the container needs NVIDIA's runtime with the capability `utility`",
        )],
        Ok(cards) => cards.iter().map(card).collect(),
    };
    Section {
        title: "GPU",
        findings,
    }
}

fn card(card: &GpuFacts) -> Finding {
    let name = &card.name;
    let (Some(free), Some(total)) = (card.free_memory, card.total_memory) else {
        return Finding::note(format!("{name}; its driver is too old to tell its memory"));
    };
    let text = format!("{name}, {:.1} of {:.1} GiB free", gib(free), gib(total));
    if total < SMALL {
        Finding::warning(
            text,
            "choose a card with more memory, or start the WebUI with --medvram or --lowvram",
        )
    } else {
        Finding::good(text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn no_gpu_is_worth_a_look() {
        assert_eq!(look(Ok(Vec::new())).findings[0].verdict, Verdict::Warning);
    }
}
