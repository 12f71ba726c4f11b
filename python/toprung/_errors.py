"""What can go wrong between a script and Toprung."""


class ContractError(RuntimeError):
    """The agent refused a request, or the trial contract was broken; the message holds the agent's words."""


class AgentUnavailable(ContractError):
    """The agent could not be reached, or did not answer in time."""


class InvalidHyperparameters(Exception):
    """These hyperparameters cannot be trained (say, the model does not fit in memory).

    Raised inside ``with toprung.trial() as trial`` it ends the trial; the search tries another one instead and charges
    neither a restart nor one of ``max_trials``.
    """
