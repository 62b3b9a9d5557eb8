"""All that travels with a saved orderer: flat, for the Hub's loader finds only files beside each other."""
